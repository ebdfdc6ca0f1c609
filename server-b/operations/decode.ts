import sharp, { type Metadata, type Sharp, type SharpOptions } from 'sharp';
import type { PictureLimits } from '../../shared/config.ts';
import { DarkroomError } from '../../shared/errors.ts';
import { checkInputLimits, countPixels } from '../../shared/limits.ts';
import type { Format, Size } from '../../shared/operations.ts';
import type { ImageHeader } from '../../shared/task.ts';
import type { Deadline } from './deadline.ts';

/** Decoded pixels: sRGB, 8 bits a channel, upright; alpha, where there is one, not premultiplied. */
export interface Raster extends Size {
  readonly pixels: Uint8Array;
  readonly channels: 1 | 2 | 3 | 4;
  /** Height of one frame where several lie below each other. */
  readonly pageHeight?: number;
}

/** A picture that would be longer than this when scaled is cropped first: libvips' resampler cannot address it. */
const MAX_SCALED_SIDE = 1_000_000;
/** Scales of outputs that differ by no more than rounding to whole pixels, relative to each other. */
const ROUNDING = 0.002;

/** A pipeline that starts from pixels in memory and ends with the job's deadline. */
export function openRaster(raster: Raster, deadline: Deadline): Sharp {
  const { pixels, width, height, channels, pageHeight } = raster;
  const raw = pageHeight === undefined ? { width, height, channels } : { width, height, channels, pageHeight };
  return sharp(pixels, { raw, animated: pageHeight !== undefined, limitInputPixels: false }).timeout({
    seconds: deadline.secondsLeft(),
  });
}

/** The pixels a pipeline gives, as they are at its end. */
export async function rasterize(pipeline: Sharp): Promise<Raster> {
  const { data, info } = await pipeline.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height, channels: info.channels };
}

/**
 * One input picture, from which every operation starts its own pipeline. Decoding is left to the pipelines, so that
 * JPEG and WebP shrink while they load; {@link Picture.reduce} decodes once for all where that is cheaper.
 */
export class Picture implements Size {
  readonly format: Format;
  /** Pixels across, upright. */
  readonly width: number;
  /** Pixels down one frame, upright. */
  readonly height: number;
  readonly frames: number;
  /** Milliseconds each frame is shown. */
  readonly delays: number[] | undefined;
  /** How often an animation runs; 0 is for ever. */
  readonly loop: number | undefined;
  /**
   * libvips takes 16-bit RGB with an ICC profile to Display P3 on its way and leaves it there unless an output
   * profile is asked for (sharp's src/pipeline.cc, `processingProfile`), so such a picture is made sRGB first.
   */
  readonly wideProfile: boolean;
  readonly deadline: Deadline;
  readonly #body: Uint8Array<ArrayBuffer>;
  readonly #limits: PictureLimits;
  readonly #oriented: boolean;
  #reduced: Raster | null = null;

  private constructor(
    body: Uint8Array<ArrayBuffer>,
    header: ImageHeader,
    metadata: Metadata,
    limits: PictureLimits,
    deadline: Deadline,
  ) {
    this.#body = body;
    this.#limits = limits;
    this.#oriented = header.orientation !== 1;
    this.format = header.format;
    this.width = header.width;
    this.height = header.height;
    this.frames = header.frames;
    this.delays = metadata.delay;
    this.loop = metadata.loop;
    this.wideProfile = metadata.space === 'rgb16' && metadata.hasProfile === true;
    this.deadline = deadline;
  }

  /**
   * Reads the header with the decoder that will read the pixels. Throws IMAGE_CORRUPT when it cannot, or when it finds
   * another format, more frames or more pixels than `announced` (what memory was set aside for), and IMAGE_TOO_LARGE
   * when it finds more than `limits` allow.
   */
  static async open(
    body: Uint8Array<ArrayBuffer>,
    announced: ImageHeader,
    limits: PictureLimits,
    deadline: Deadline,
  ): Promise<Picture> {
    const metadata = await sharp(body, { limitInputPixels: false })
      .metadata()
      .catch((error: unknown) => {
        throw corrupt(announced.format, error);
      });
    const header = decodedHeader(metadata, announced);
    checkInputLimits(header, limits);
    if (header.frames !== announced.frames || countPixels(header) > countPixels(announced)) {
      throw mismatch(describe(announced), describe(header));
    }
    return new Picture(body, header, metadata, limits, deadline);
  }

  /** The shorter side in pixels. */
  get shortSide(): number {
    return Math.min(this.width, this.height);
  }

  /** A pipeline from the first frame, upright, for an output that is `scale` times the picture. */
  first(scale: number): Sharp {
    const reduced = this.#reduced;
    if (reduced !== null) {
      const most = Math.max(reduced.width / this.width, reduced.height / this.height);
      if (scale <= most * (1 + ROUNDING) || this.wideProfile) return openRaster(reduced, this.deadline);
    }
    return this.#open({ page: 0, pages: 1 }).autoOrient();
  }

  /** The first frame scaled to cover `box` and cropped to it about the centre. */
  firstCovering(box: Size): Sharp {
    const scale = Math.max(box.width / this.width, box.height / this.height);
    if (Math.max(this.width, this.height) * scale <= MAX_SCALED_SIDE) {
      return this.first(scale).resize({ ...box, fit: 'cover', position: 'centre' });
    }
    const width = Math.min(this.width, Math.max(1, Math.round(box.width / scale)));
    const height = Math.min(this.height, Math.max(1, Math.round(box.height / scale)));
    const left = Math.floor((this.width - width) / 2);
    const top = Math.floor((this.height - height) / 2);
    return this.first(scale)
      .extract({ left, top, width, height })
      .resize({ ...box, fit: 'fill' });
  }

  /** A pipeline from all frames, upright. */
  async all(): Promise<Sharp> {
    if (!this.#oriented) return this.#open({ animated: true });
    // libvips keeps frames as one tall strip, which cannot be turned: each frame is turned by itself.
    const { width, height: pageHeight, frames } = this;
    const strip = new Uint8Array(width * pageHeight * 4 * frames);
    for (let page = 0; page < frames; page += 1) {
      const frame = await rasterize(this.#open({ page, pages: 1 }).autoOrient().ensureAlpha());
      strip.set(frame.pixels, page * frame.pixels.byteLength);
      this.deadline.check();
    }
    return openRaster({ pixels: strip, width, height: pageHeight * frames, channels: 4, pageHeight }, this.deadline);
  }

  /** Decodes the first frame once, scaled to `size`, for the outputs that can be made from that without loss. */
  async reduce(size: Size): Promise<void> {
    const { width, height } = size;
    const pipeline = this.#open({ page: 0, pages: 1 }).autoOrient().resize({ width, height, fit: 'fill' });
    this.#reduced = await rasterize(this.wideProfile ? pipeline.withIccProfile('srgb', { attach: false }) : pipeline);
  }

  /** Decodes without making anything of it: the IMAGE_CORRUPT that comes of it, or null when the picture is whole. */
  async findCorruption(frames: 'first' | 'all'): Promise<DarkroomError | null> {
    try {
      const options = frames === 'all' ? { animated: true } : { page: 0, pages: 1 };
      await this.#open(options).resize({ width: 1, height: 1, fit: 'fill' }).raw().toBuffer();
      return null;
    } catch (error) {
      return isTimeout(error) ? this.deadline.error() : corrupt(this.format, error);
    }
  }

  #open(options: SharpOptions): Sharp {
    return sharp(this.#body, { ...options, limitInputPixels: this.#limits.maxPixels }).timeout({
      seconds: this.deadline.secondsLeft(),
    });
  }
}

/** True for the error of a pipeline that sharp's timeout ended (sharp's src/common.cc, VipsProgressCallBack). */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('timeout:');
}

function decodedHeader(metadata: Metadata, announced: ImageHeader): ImageHeader {
  const format = metadata.format === 'heif' ? 'avif' : metadata.format;
  if (format !== announced.format) throw mismatch(announced.format, format ?? 'nothing known');
  const animates = format === 'gif' || format === 'webp';
  return {
    ...announced,
    width: metadata.autoOrient.width,
    height: metadata.autoOrient.height,
    frames: animates ? (metadata.pages ?? 1) : 1,
    channels: metadata.channels,
    depth: depthOf(metadata.depth),
    orientation: metadata.orientation ?? 1,
  };
}

function depthOf(depth: string): 8 | 16 | 32 {
  if (depth === 'uchar' || depth === 'char') return 8;
  return depth === 'ushort' || depth === 'short' ? 16 : 32;
}

function describe(header: ImageHeader): string {
  return `${header.frames} × ${header.width}×${header.height}`;
}

function mismatch(expected: string, received: string): DarkroomError {
  return new DarkroomError('IMAGE_CORRUPT', `Expected ${expected} as the header says, received ${received}`);
}

/** IMAGE_CORRUPT in a client's words: the decoder's last word, without its module names. */
function corrupt(format: Format, error: unknown): DarkroomError {
  const text = error instanceof Error ? error.message : '';
  const reason = /(premature end|unexpected end|unable to parse|unsupported image format|read error)/i.exec(text)?.[1];
  const detail = reason === undefined ? '' : ` (${reason.toLowerCase()})`;
  const message = `Expected a whole ${format} picture, received one that cannot be decoded${detail}`;
  return new DarkroomError('IMAGE_CORRUPT', message, { cause: error });
}
