import type { Sharp } from 'sharp';
import { DarkroomError } from '../../shared/errors.ts';
import type { Format, OperationName } from '../../shared/operations.ts';
import type { PictureOutput } from '../job.ts';

/** How a picture is written. */
export interface Encoding {
  readonly format: Format;
  /** 1 to 100, see {@link encode}; each format's own default where it is not given. */
  readonly quality: number | undefined;
  readonly grayscale: boolean;
  /** Milliseconds of each frame and number of runs of an animation; undefined for a still picture. */
  readonly animation?: { readonly delays: number[] | undefined; readonly loop: number | undefined };
}

/** The longest side WebP can hold, in pixels (RFC 9649, section 2.6). */
const MAX_WEBP_SIDE = 16_383;

/** True for formats that hold transparency. */
export function holdsAlpha(format: Format): boolean {
  return format !== 'jpeg';
}

/**
 * Runs a pipeline and writes its picture in sRGB, 8 bits a channel, without EXIF, XMP, IPTC or ICC profile. JPEG is
 * flattened on white. `quality` holds for the lossy formats: JPEG (80), WebP (80), AVIF (50). PNG, TIFF and GIF take
 * no notice of it: the first two are written without loss, and nobody who asks for quality expects fewer colours.
 * Throws IMAGE_TOO_LARGE for a WebP beyond 16,383 pixels a side.
 */
export async function encode(pipeline: Sharp, name: OperationName, encoding: Encoding): Promise<PictureOutput> {
  const { format, grayscale } = encoding;
  const flat = holdsAlpha(format) ? pipeline : pipeline.flatten({ background: '#ffffff' });
  const toned = grayscale ? flat.grayscale().toColourspace('b-w') : flat.toColourspace('srgb');
  const { data, info } = await write(toned, encoding).toBuffer({ resolveWithObject: true });
  return {
    header: {
      kind: 'picture',
      name,
      operation: name,
      format,
      width: info.width,
      height: info.pageHeight ?? info.height,
      frames: info.pages ?? 1,
      bytes: data.byteLength,
    },
    // A copy that owns its memory, so that it can be moved to another thread. sharp's toUint8Array gives one without a
    // copy, but never frees it (sharp 0.35.5: 80 pictures of 6 MB left 480 MB behind; toBuffer left none).
    picture: new Uint8Array(data),
  };
}

/** Throws IMAGE_TOO_LARGE when the format cannot hold a picture of this size. */
export function checkFormatHolds(format: Format, size: { readonly width: number; readonly height: number }): void {
  if (format !== 'webp' || Math.max(size.width, size.height) <= MAX_WEBP_SIDE) return;
  const message = `Expected at most ${MAX_WEBP_SIDE} pixels a side for a webp output, received ${size.width}×${size.height}`;
  throw new DarkroomError('IMAGE_TOO_LARGE', message);
}

function write(pipeline: Sharp, encoding: Encoding): Sharp {
  const lossy = encoding.quality === undefined ? {} : { quality: encoding.quality };
  const { delays, loop } = encoding.animation ?? {};
  const animation = { ...(delays === undefined ? {} : { delay: delays }), ...(loop === undefined ? {} : { loop }) };
  switch (encoding.format) {
    case 'jpeg':
      return pipeline.jpeg(lossy);
    case 'png':
      return pipeline.png();
    case 'webp':
      return pipeline.webp({ ...lossy, ...animation });
    case 'avif':
      // Effort 4, sharp's default, takes five times as long as 2 for a fifth fewer bytes (measured at 2 megapixels).
      return pipeline.avif({ ...lossy, effort: 2 });
    case 'gif':
      return pipeline.gif(animation);
    case 'tiff':
      // sharp's default, JPEG inside TIFF, would drop the alpha channel.
      return pipeline.tiff({ compression: 'lzw', predictor: 'horizontal' });
  }
}
