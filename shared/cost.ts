import { planDecode } from './decode-plan.ts';
import { DarkroomError } from './errors.ts';
import { heicCost } from './heic-cost.ts';
import type { ImageHeader } from './image-header.ts';
import { countCodedPixels, countPixels, decodedBytes } from './limits.ts';
import type { Drawing, Plan } from './operations/definition.ts';
import type { Format } from './operations/format.ts';
import { type OutputSpec, planOf } from './operations/index.ts';

// Every number here is the peak that bench/memory.ts measured, rounded up; run it after an update of sharp.

/** Memory of a job without its pixels: library state, tiles, the classifier's tensors. */
const FIXED_BYTES = 6 * 1024 * 1024;
/** The most rows that libvips buffers between a sequential decoder and the resampler. */
const WINDOW_ROWS = 2100;
/** RGBA, 8 bits each: a raster, and the canvas of a GIF or WebP frame. */
const RASTER_PIXEL_BYTES = 4;

/**
 * Bytes that an encoder needs for each pixel of a frame, without and with transparency, measured with noise, which
 * compresses worst. JPEG keeps all coefficients in memory to optimize its tables; WebP and AVIF keep several copies of
 * the picture; GIF keeps the picture and the palette index of each pixel; PNG and TIFF keep only their output, in a
 * buffer that doubles.
 */
const ENCODER_PIXEL_BYTES: Readonly<Record<Format, { readonly opaque: number; readonly transparent: number }>> = {
  jpeg: { opaque: 6.5, transparent: 6.5 },
  png: { opaque: 4.5, transparent: 6 },
  webp: { opaque: 19, transparent: 36 },
  avif: { opaque: 33, transparent: 49 },
  gif: { opaque: 13, transparent: 13 },
  tiff: { opaque: 7, transparent: 9 },
};
/** The same for WebP and AVIF without loss. */
const LOSSLESS_PIXEL_BYTES: Readonly<
  Partial<Record<Format, { readonly opaque: number; readonly transparent: number }>>
> = { webp: { opaque: 33, transparent: 52 }, avif: { opaque: 43, transparent: 51 } };
/** Memory of the search for a GIF's palette, for every size of picture. */
const PALETTE_BYTES = 20 * 1024 * 1024;
/** Bytes for each pixel of an animation's encoded frames, which are kept until the last. */
const ENCODED_PIXEL_BYTES = 1;
/** Bytes for each pixel of an encoded output that waits for the job's other outputs. */
const WAITING_PIXEL_BYTES = 4;

/**
 * Peak memory of a job in bytes, so that the sum over all running jobs can be bounded. It counts the encoded body, the
 * decoder's memory, the pixels between decoder and encoder, and the outputs. Outputs are made one after another: the
 * most expensive one counts as it is encoded, all others count as they wait. The bound is close for a picture that is
 * hard to compress, and too high for other pictures, because the header does not show the difference.
 */
export function jobCost(bytes: number, image: ImageHeader, specs: readonly OutputSpec[]): number {
  const plans = specs.map((spec) => planOf(image, spec));
  const scale = Math.max(...plans.map((plan) => plan.scale));
  const between = windowCost(image, plans, scale) + turningCost(image, scale) + sharedCost(image, plans);
  const outputs = outputsCost(plans);
  const decoding = between + decodingCost(image, scale) + outputs.decoding;
  const encoding = between + keptCost(image, scale) + outputs.encoding;
  const needed =
    image.format === 'heic' ? heicCost(bytes, image, between + outputs.encoding) : Math.max(decoding, encoding);
  return Math.ceil(FIXED_BYTES + bytes + needed);
}

/** Throws IMAGE_TOO_LARGE for a job that needs more bytes than Server B may reserve (`--memory-mb`). */
export function checkCost(cost: number, most: number): void {
  if (cost <= most) return;
  throw new DarkroomError(
    'IMAGE_TOO_LARGE',
    `Expected a picture that takes at most ${most} bytes to work on (--memory-mb), received one that takes ${cost}`,
  );
}

/** Memory of a decoder that does not output row after row. */
function decodingCost(image: ImageHeader, scale: number): number {
  const { format, progressive, alpha, channels, depth, frames, width, height } = image;
  const pixels = countPixels(image);
  switch (format) {
    case 'jpeg':
      // The coefficients of all scans, two bytes each; half as many where chrominance is subsampled.
      return progressive ? 2 * channels * pixels : 0;
    case 'png':
      return progressive ? decodedBytes(image) : 0;
    case 'tiff':
      // All planes, and one more while it is read.
      return progressive ? decodedBytes(image) * (1 + 1 / channels) : 0;
    case 'gif':
      return RASTER_PIXEL_BYTES * width * height;
    case 'webp':
      // An animation has its canvases and all its frames. A still picture shrinks on load; its alpha channel does not,
      // and a lossless picture does not shrink at all.
      if (frames > 1) return RASTER_PIXEL_BYTES * pixels + 16 * width * height;
      return (2 * channels * Math.min(1, scale) ** 2 + (progressive ? RASTER_PIXEL_BYTES : alpha ? 1 : 0)) * pixels;
    case 'avif':
      // libaom's frame buffers with their borders, libheif's planes, the pixels.
      return (depth > 8 ? 23 : 18) * countCodedPixels(image);
    case 'heic':
      return 0;
  }
}

/** What the decoder keeps while an output is encoded: that of AVIF frees its buffers once it has the pixels. */
function keptCost(image: ImageHeader, scale: number): number {
  return image.format === 'avif' ? decodedBytes(image) : decodingCost(image, scale);
}

/** Rows between decoder and encoder, as wide as the decoded picture or the widest output. */
function windowCost(image: ImageHeader, plans: readonly Plan[], scale: number): number {
  const loaded = loadScale(image, scale);
  const width = Math.max(image.width * loaded, ...plans.map(({ drawing }) => drawing?.width ?? 0));
  const rows = Math.min(WINDOW_ROWS, image.height * image.frames * Math.max(loaded, scale));
  return (width * rows * image.channels * image.depth) / 8;
}

/** A picture with an EXIF orientation is decoded whole before it is turned. */
function turningCost(image: ImageHeader, scale: number): number {
  if (image.orientation === 1) return 0;
  return image.frames > 1
    ? RASTER_PIXEL_BYTES * countPixels(image)
    : decodedBytes(image) * loadScale(image, scale) ** 2;
}

/**
 * The pixels that several outputs share, or those of a picture that is decoded before it is resized: one with extra
 * channels, and one of 16 bits, which may have to be converted to sRGB (`wideProfile` in operations/picture.ts; the header
 * does not say so).
 */
function sharedCost(image: ImageHeader, plans: readonly Plan[]): number {
  const channels = Math.min(image.channels, RASTER_PIXEL_BYTES);
  const shared = planDecode(image, plans);
  const sharedBytes = shared === null ? 0 : channels * shared.size.width * shared.size.height;
  if (image.depth === 8 && image.extras === undefined) return sharedBytes;
  const scale = image.extras === undefined ? Math.min(1, Math.max(...plans.map((plan) => plan.scale))) : 1;
  return Math.max(sharedBytes, channels * image.width * image.height * scale ** 2);
}

/**
 * Memory of the outputs: `encoding` while the most expensive one is encoded and all others wait, `decoding` while the
 * last one is decoded. An earlier encoder's memory may not be returned by then, so it counts if there are several.
 */
function outputsCost(plans: readonly Plan[]): { readonly decoding: number; readonly encoding: number } {
  const drawings = plans.flatMap(({ drawing, workBytes }) =>
    drawing === null ? [] : [{ encoding: encodingCost(drawing) + workBytes, waiting: waitingCost(drawing) }],
  );
  const waiting = drawings.reduce((sum, one) => sum + one.waiting, 0);
  const encoding = Math.max(0, ...drawings.map((one) => one.encoding + waiting - one.waiting));
  if (drawings.length > 1) return { decoding: encoding, encoding };
  return { decoding: plans.length > 1 ? waiting : 0, encoding };
}

/** Memory of one output's encoder, with its result. */
function encodingCost(drawing: Drawing): number {
  const { format, lossless } = drawing;
  const { opaque, transparent } = (lossless ? LOSSLESS_PIXEL_BYTES[format] : undefined) ?? ENCODER_PIXEL_BYTES[format];
  const each = drawing.transparent ? transparent : opaque;
  const encoded = drawing.frames > 1 ? ENCODED_PIXEL_BYTES * countPixels(drawing) : 0;
  return each * drawing.width * drawing.height + encoded + (format === 'gif' ? PALETTE_BYTES : 0);
}

function waitingCost(drawing: Drawing): number {
  return drawing.frames > 1 ? ENCODED_PIXEL_BYTES * countPixels(drawing) : WAITING_PIXEL_BYTES * countPixels(drawing);
}

/** The scale at which pixels leave the decoder: JPEG shrinks on load by powers of two, a still WebP by any factor. */
function loadScale({ format, frames }: ImageHeader, scale: number): number {
  if (format === 'jpeg') return Math.min(1, 2 * scale);
  return format === 'webp' && frames === 1 ? Math.min(1, scale) : 1;
}
