import type { Sharp } from 'sharp';
import { DarkroomError } from '../../shared/errors.ts';
import { type Format, holdsAlpha, type Size } from '../../shared/operations/format.ts';
import type { Product } from '../job.ts';
import { countEncodedFrames } from './encoded-frames.ts';
import { withoutDensity } from './png-density.ts';

/** The properties that an animated output takes over from its input. */
export interface Animation {
  /** Milliseconds of each frame. */
  readonly delays: number[] | undefined;
  /** How many times it plays; 0 means without end. */
  readonly loop: number | undefined;
}

/** How a picture is written. */
export interface Encoding {
  readonly format: Format;
  /** 1 to 100, see {@link encode}; each format's own default where it is not given. */
  readonly quality: number | undefined;
  readonly grayscale: boolean;
  /** The lossless mode of WebP and AVIF; the other formats ignore it. */
  readonly lossless: boolean;
  /** The colour behind a transparent picture in a format without transparency. */
  readonly background: string;
  /** Undefined for a still picture. */
  readonly animation?: Animation;
}

/** The default colour behind a flattened picture. */
export const WHITE = '#ffffff';
/** The longest side WebP can hold, in pixels (RFC 9649, section 2.6). */
const MAX_WEBP_SIDE = 16_383;

/**
 * Runs a pipeline and writes its picture in sRGB, 8 bits a channel, without EXIF, XMP, IPTC, ICC profile or density.
 * JPEG is flattened on the background. `quality` applies to the lossy formats, by default JPEG 80, WebP 80, AVIF 50.
 * PNG and TIFF ignore it because they are written without loss, GIF because it would only mean fewer colours. Throws
 * what sharp throws.
 */
export async function encode(pipeline: Sharp, encoding: Encoding): Promise<Product> {
  const { format, grayscale, background } = encoding;
  const flat = holdsAlpha(format) ? pipeline : pipeline.flatten({ background });
  const toned = grayscale ? flat.grayscale().toColourspace('b-w') : flat.toColourspace('srgb');
  const { data, info } = await write(toned, encoding).toBuffer({ resolveWithObject: true });
  return {
    kind: 'picture',
    format,
    width: info.width,
    height: info.pageHeight ?? info.height,
    frames: info.pages === undefined ? 1 : countEncodedFrames(format, data),
    // A copy that owns its memory, so that it can be moved to another thread. sharp's toUint8Array needs no copy, but
    // never frees its memory (sharp 0.35.5: 80 pictures of 6 MB left 480 MB allocated; toBuffer left none).
    picture: format === 'png' ? withoutDensity(data) : new Uint8Array(data),
  };
}

/** Throws IMAGE_TOO_LARGE for a WebP with a side of more than 16,383 pixels, which the format cannot hold. */
export function checkFormatHolds(format: Format, size: Size): void {
  if (format !== 'webp' || Math.max(size.width, size.height) <= MAX_WEBP_SIDE) return;
  const message = `Expected at most ${MAX_WEBP_SIDE} pixels a side for a webp output, received ${size.width}×${size.height}`;
  throw new DarkroomError('IMAGE_TOO_LARGE', message);
}

function write(pipeline: Sharp, encoding: Encoding): Sharp {
  const { lossless } = encoding;
  const lossy = encoding.quality === undefined ? {} : { quality: encoding.quality };
  const { delays, loop } = encoding.animation ?? {};
  const animation = { ...(delays === undefined ? {} : { delay: delays }), ...(loop === undefined ? {} : { loop }) };
  switch (encoding.format) {
    case 'jpeg':
      return pipeline.jpeg(lossy);
    case 'png':
      return pipeline.png();
    case 'webp':
      // Effort 4, sharp's default, takes up to ten times as long for small lossless frames (bench/animation.ts).
      return pipeline.webp({
        ...lossy,
        ...animation,
        lossless,
        ...(encoding.animation === undefined ? {} : { effort: 2 }),
      });
    case 'avif':
      // Effort 4, sharp's default, takes five times as long as 2 for a fifth fewer bytes (measured at 2 megapixels).
      return pipeline.avif({ ...lossy, lossless, effort: 2 });
    case 'gif':
      // `reuse` would keep the input's palette, which has too few colours for scaled pixels. See gif/ for animations.
      return pipeline.gif({ reuse: false });
    case 'tiff':
      // sharp's default, JPEG inside TIFF, would drop the alpha channel.
      return pipeline.tiff({ compression: 'lzw', predictor: 'horizontal' });
  }
}
