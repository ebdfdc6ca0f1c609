import sharp, { type Metadata, type Sharp, type SharpOptions } from 'sharp';
import type { PictureLimits } from '../../shared/config.ts';
import { DarkroomError } from '../../shared/errors.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import { checkInputLimits, countPixels } from '../../shared/limits.ts';
import { type InputFormat, type Size, scaledSize } from '../../shared/operations/format.ts';
import type { Deadline } from './deadline.ts';
import { noteWarning } from './libvips.ts';
import { corrupt, decodedHeader, loadOptions, mismatch, readPicture } from './metadata.ts';
import { openRaster, type Raster, rasterize, Strip } from './raster.ts';
import { isCut } from './repair/gif.ts';
import { hasHiddenDamage } from './repair/jpeg.ts';
import { turn, uprightTurn } from './turn.ts';

/** What else the decoder says about a picture. */
type Facts = Partial<Pick<Metadata, 'delay' | 'loop' | 'space' | 'hasProfile'>>;

type Encoded = Uint8Array<ArrayBuffer>;

/** The longest delay that sharp writes, in milliseconds. GIF and WebP can have longer ones. */
const MAX_DELAY_MS = 65_535;

/** Where a picture's pixels come from. */
interface Source {
  /** The encoded picture; null where only the raster is left. */
  readonly body: Encoded | null;
  /** Index of the picture's first frame in `body`. */
  readonly start: number;
  /** Pixels of that frame when it is already decoded; null when each pipeline decodes for itself. */
  readonly raster: Raster | null;
  /** True when the file ends inside a frame. */
  readonly cut: boolean;
}

/**
 * One input picture, from which every operation starts its own pipeline. The pipelines decode, so that JPEG and WebP
 * shrink on load; {@link Picture.sharing} gives a picture that is already decoded.
 */
export class Picture implements Size {
  readonly format: InputFormat;
  /** Pixels across, upright. */
  readonly width: number;
  /** Pixels down one frame, upright. */
  readonly height: number;
  readonly frames: number;
  /** Milliseconds for which each frame is shown; {@link MAX_DELAY_MS} for a longer time. */
  readonly delays: number[] | undefined;
  /** How many times an animation plays; 0 means without end. */
  readonly loop: number | undefined;
  /**
   * libvips converts 16-bit RGB with an ICC profile to Display P3, and does not convert it back unless an output profile
   * is set (sharp's src/pipeline.cc, `processingProfile`). So such a picture is converted to sRGB first.
   */
  readonly wideProfile: boolean;
  readonly deadline: Deadline;
  readonly #source: Source;
  readonly #header: ImageHeader;
  readonly #metadata: Facts;
  readonly #limits: PictureLimits;

  private constructor(source: Source, header: ImageHeader, metadata: Facts, limits: PictureLimits, deadline: Deadline) {
    this.#source = source;
    this.#header = header;
    this.#metadata = metadata;
    this.#limits = limits;
    this.format = header.format;
    this.width = header.width;
    this.height = header.height;
    this.frames = header.frames;
    this.delays = metadata.delay?.map((delay) => Math.min(delay, MAX_DELAY_MS));
    this.loop = metadata.loop;
    this.wideProfile = metadata.space === 'rgb16' && metadata.hasProfile === true;
    this.deadline = deadline;
  }

  /**
   * Reads the header with the decoder that will read the pixels. Throws IMAGE_CORRUPT when that fails, or when the format
   * or the frames differ from `announced` or there are more pixels, because memory was reserved for `announced`. Throws
   * IMAGE_TOO_LARGE when the picture exceeds `limits`.
   */
  static async open(
    body: Uint8Array<ArrayBuffer>,
    announced: ImageHeader,
    limits: PictureLimits,
    deadline: Deadline,
  ): Promise<Picture> {
    checkInputLimits(announced, limits);
    if (announced.format === 'avif') brandAsAvif(body);
    const cut = announced.format === 'gif' && isCut(body);
    const { metadata, ...source } = await readPicture(body, announced);
    const header = decodedHeader(metadata, announced);
    checkInputLimits(header, limits);
    if (header.frames !== announced.frames || countPixels(header) > countPixels(announced)) {
      throw mismatch(describe(announced), describe(header));
    }
    return new Picture({ ...source, raster: null, cut }, header, metadata, limits, deadline);
  }

  /** A still picture whose pixels another decoder gave. */
  static decoded(raster: Raster, header: ImageHeader, limits: PictureLimits, deadline: Deadline): Picture {
    return new Picture({ body: null, start: 0, raster, cut: false }, header, {}, limits, deadline);
  }

  /** The header as the decoder read it. */
  get header(): ImageHeader {
    return this.#header;
  }

  /** The shorter side in pixels. */
  get shortSide(): number {
    return Math.min(this.width, this.height);
  }

  /** The same picture with an already decoded first frame, from {@link decodeOnce}. */
  sharing(raster: Raster): Picture {
    return this.#from({ ...this.#source, raster });
  }

  /** Decodes the first frame, scaled to `size`: sRGB, 8 bits, upright. */
  async decodeOnce({ width, height }: Size): Promise<Raster> {
    const isWhole = width === this.width && height === this.height;
    if (isWhole && this.#source.raster !== null) return this.#source.raster;
    if (this.#hasExtras) {
      const colours = await this.#decodeColours();
      const scaled = openRaster(colours, this.deadline).resize({ width, height, fit: 'fill' });
      return isWhole ? colours : rasterize(scaled);
    }
    const upright = this.#open(this.#firstFrame).autoOrient();
    return this.#decode(isWhole ? upright : upright.resize({ width, height, fit: 'fill' }));
  }

  /**
   * A pipeline from the first frame, upright, for an output at `scale` times the picture's size. `size` is the exact size
   * in pixels, for an output that is the whole picture scaled to it.
   */
  async first(scale: number, size: Size = scaledSize(this, scale)): Promise<Sharp> {
    const { raster } = this.#source;
    if (raster !== null) return openRaster(raster, this.deadline);
    if (this.#hasExtras) return openRaster(await this.#decodeColours(), this.deadline);
    if (!this.wideProfile) return this.#open(this.#firstFrame).autoOrient();
    return openRaster(await this.decodeOnce(scale < 1 ? size : this), this.deadline);
  }

  /** A pipeline from all frames, upright. */
  async all(): Promise<Sharp> {
    if (!this.#isTurned) return this.#open(this.#allFrames);
    const strip = new Strip(this, this.frames);
    for await (const frame of this.eachFrame()) strip.add(await rasterize((await frame.first(1)).ensureAlpha()));
    return openRaster(strip.raster, this.deadline);
  }

  /** Each frame as a picture of its own, upright. Throws TIMEOUT between two frames. */
  async *eachFrame(): AsyncGenerator<Picture> {
    // libvips keeps frames as one tall strip, which cannot be turned. To decode one frame alone it decodes all before it.
    // Frames without alpha are scaled in half the time.
    const strip = await rasterize(this.#open(this.#allFrames));
    const { width, channels } = strip;
    const height = strip.height / this.frames;
    const bytes = width * height * channels;
    for (let page = 0; page < this.frames; page += 1) {
      const frame = { pixels: strip.pixels.subarray(page * bytes, (page + 1) * bytes), width, height, channels };
      yield this.sharing(this.#isTurned ? await this.#upright(frame) : frame);
      this.deadline.check();
    }
  }

  /** Throws IMAGE_CORRUPT when the file ends inside a frame, which the decoder does not tell. */
  checkEnd(): void {
    if (!this.#source.cut) return;
    throw new DarkroomError('IMAGE_CORRUPT', `Expected a whole ${this.format} picture, received one that is cut off`);
  }

  /**
   * Decodes every row, without shrinking on load, and drops the pixels. Gives IMAGE_CORRUPT, or TIMEOUT, when that fails,
   * or null when it works. Only whether it fails counts: libvips has one buffer for the error messages of all threads, so
   * that a message may be about another picture.
   */
  async findCorruption(frames: 'first' | 'all'): Promise<DarkroomError | null> {
    try {
      const options = frames === 'all' ? this.#allFrames : this.#firstFrame;
      // sharp does not shrink on load where a gamma is given; a gamma of 1 changes nothing (its src/pipeline.cc).
      await this.#open(options).gamma(1).resize({ width: 1, height: 1, fit: 'fill' }).raw().toBuffer();
    } catch (error) {
      return isTimeout(error, this.deadline) ? this.deadline.error() : corrupt(this.format, error);
    }
    // The decode misses damage in the last rows of a JPEG; see noteWarning.
    const { body } = this.#source;
    const isDamaged = this.format === 'jpeg' && body !== null && hasHiddenDamage(body);
    return isDamaged ? corrupt(this.format, 'damage in the last rows') : null;
  }

  get #firstFrame(): SharpOptions {
    // Without a page, the primary item of an AVIF is decoded; page 0 is the first item, which may be another.
    if (this.format === 'avif') return {};
    return { page: this.#source.start, pages: 1 };
  }

  get #allFrames(): SharpOptions {
    return { page: this.#source.start, pages: -1 };
  }

  get #isTurned(): boolean {
    return this.#header.orientation !== 1;
  }

  #upright(frame: Raster): Promise<Raster> {
    return rasterize(turn(openRaster(frame, this.deadline), uprightTurn(this.#header.orientation)));
  }

  get #hasExtras(): boolean {
    return this.#header.extras !== undefined;
  }

  /** The whole first frame without its extra channels. sharp takes them for alpha, and would resize with them. */
  #decodeColours(): Promise<Raster> {
    return this.#decode(this.#open(this.#firstFrame).autoOrient().removeAlpha());
  }

  #decode(pipeline: Sharp): Promise<Raster> {
    return rasterize(this.wideProfile ? pipeline.withIccProfile('srgb', { attach: false }) : pipeline);
  }

  #from(source: Source): Picture {
    return new Picture(source, this.#header, this.#metadata, this.#limits, this.deadline);
  }

  #open(options: SharpOptions): Sharp {
    const { body, raster } = this.#source;
    if (body === null && raster !== null) return openRaster(raster, this.deadline);
    const limitInputPixels = this.#limits.maxPixels;
    return sharp(body ?? undefined, { ...loadOptions(this.#header), ...options, limitInputPixels })
      .on('warning', noteWarning)
      .timeout({ seconds: this.deadline.secondsLeft() });
  }
}

/**
 * True for an error of a pipeline that sharp's timeout may have ended. Only the time decides: libvips has one buffer for
 * the error messages of all threads, so that the message may be about another picture.
 */
export function isTimeout(error: unknown, deadline: Deadline): boolean {
  return error instanceof Error && !(error instanceof DarkroomError) && deadline.mayHaveEnded;
}

/**
 * Makes AVIF the major brand, in place: libvips knows a HEIF file only by some of the major brands that it may have
 * (libvips' heifload.c, vips_foreign_load_heif_is_a).
 */
function brandAsAvif(body: Uint8Array): void {
  body.set(Buffer.from('avif', 'latin1'), 8);
}

function describe(header: ImageHeader): string {
  return `${header.frames} × ${header.width}×${header.height}`;
}
