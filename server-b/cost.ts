import { countPixels, decodedBytes, outputSize } from '../shared/limits.ts';
import { circleFormat, type Format, type Operation, resizedSize, type Size } from '../shared/operations.ts';
import type { ImageHeader } from '../shared/task.ts';
import { CLASSIFY_SIDE, MAX_SHARED_JPEG_SCALE } from './scales.ts';

// Every number here is the peak that bench/memory.ts saw, rounded up; run it after an update of sharp.

/** What a job takes beside its pixels: library state, tiles, the classifier's tensors. */
const FIXED_BYTES = 6 * 1024 * 1024;
/** Rows that libvips holds between a reader and a resampler that both go through the picture once, at most. */
const WINDOW_ROWS = 2100;
/** RGBA, 8 bits each: a raster, and the canvas of a GIF or WebP frame. */
const RASTER_PIXEL_BYTES = 4;

/**
 * Bytes an encoder takes for each pixel of a frame, of noise as hard to compress as it comes, without and with
 * transparency. JPEG holds all coefficients to optimize its tables, WebP and AVIF several copies of the picture, GIF the
 * picture and its palette's index, PNG and TIFF nothing but what they have written, in a buffer that doubles.
 */
const ENCODER_PIXEL_BYTES: Readonly<Record<Format, { readonly opaque: number; readonly transparent: number }>> = {
  jpeg: { opaque: 6.5, transparent: 6.5 },
  png: { opaque: 4.5, transparent: 6 },
  webp: { opaque: 19, transparent: 36 },
  avif: { opaque: 33, transparent: 49 },
  gif: { opaque: 13, transparent: 13 },
  tiff: { opaque: 7, transparent: 9 },
};
/** What the search for a GIF's palette takes, whatever the picture's size. */
const PALETTE_BYTES = 20 * 1024 * 1024;
/** Bytes for each pixel of an animation's encoded frames, which are kept until the last. */
const ENCODED_PIXEL_BYTES = 1;

/**
 * Memory in bytes that a job may take at its peak, so that the sum over all running jobs can be bounded: the body as it
 * came, what decoding holds, what lies between decoder and encoder, every output. It is a close upper bound where the
 * picture is hard to compress, and higher where it is not, which no header tells.
 */
export function jobCost(bytes: number, image: ImageHeader, operations: readonly Operation[]): number {
  const scale = Math.max(...operations.map((operation) => scaleOf(image, operation)));
  const outputs = operations.map((operation) => outputCost(image, operation));
  const ways = windowCost(image, operations, scale) + turningCost(image, scale) + sharedCost(image, operations, scale);
  return Math.ceil(
    FIXED_BYTES + bytes + decodingCost(image, scale) + ways + outputs.reduce((sum, cost) => sum + cost, 0),
  );
}

/** What a decoder holds that does not give its rows one after another. */
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
      // All planes, and one more on its way.
      return progressive ? decodedBytes(image) * (1 + 1 / channels) : 0;
    case 'gif':
      return RASTER_PIXEL_BYTES * width * height;
    case 'webp':
      // An animation has its canvases and all its frames; a still picture shrinks as it is decoded, but its alpha, and
      // the whole of it where it is lossless, does not.
      if (frames > 1) return RASTER_PIXEL_BYTES * pixels + 16 * width * height;
      return (2 * channels * Math.min(1, scale) ** 2 + (progressive ? RASTER_PIXEL_BYTES : alpha ? 1 : 0)) * pixels;
    case 'avif':
      // libaom's frame buffers with their borders, libheif's planes, the pixels.
      return (depth > 8 ? 23 : 18) * pixels;
  }
}

/** Rows of the decoded picture or of the largest output, whichever are longer, on their way to the encoder. */
function windowCost(image: ImageHeader, operations: readonly Operation[], scale: number): number {
  const loaded = loadScale(image, scale);
  const widths = operations.map((operation) => outputSize(image, operation)?.width ?? 0);
  const width = Math.max(image.width * loaded, ...widths);
  const rows = Math.min(WINDOW_ROWS, image.height * image.frames * Math.max(loaded, scale));
  return (width * rows * image.channels * image.depth) / 8;
}

/** A picture that is to be turned is decoded whole before. */
function turningCost(image: ImageHeader, scale: number): number {
  if (image.orientation === 1) return 0;
  return image.frames > 1
    ? RASTER_PIXEL_BYTES * countPixels(image)
    : decodedBytes(image) * loadScale(image, scale) ** 2;
}

/** The raster that several operations share, or that a 16-bit picture goes through (operations/share.ts). */
function sharedCost(image: ImageHeader, operations: readonly Operation[], scale: number): number {
  const isPossible = operations.length > 1 || image.depth > 8;
  if (!isPossible || (image.format === 'jpeg' && scale > MAX_SHARED_JPEG_SCALE)) return 0;
  return Math.min(image.channels, RASTER_PIXEL_BYTES) * image.width * image.height * Math.min(1, scale) ** 2;
}

function outputCost(image: ImageHeader, operation: Operation): number {
  const size = outputSize(image, operation);
  if (size === null || operation.operation === 'classify') return 0;
  const format = formatOf(image, operation);
  const { opaque, transparent } = ENCODER_PIXEL_BYTES[format];
  const pixels = size.width * size.height;
  if (operation.operation === 'circle') return (RASTER_PIXEL_BYTES + transparent) * pixels;
  // Padding is transparent where the format allows.
  const each = image.alpha || operation.fit === 'contain' ? transparent : opaque;
  const encoded = size.frames > 1 ? ENCODED_PIXEL_BYTES * countPixels(size) : 0;
  return each * pixels + encoded + (format === 'gif' ? PALETTE_BYTES : 0);
}

function formatOf(image: ImageHeader, operation: Exclude<Operation, { operation: 'classify' }>): Format {
  if (operation.operation === 'resize') return operation.format ?? image.format;
  return circleFormat(operation.format);
}

/** How many times its own size the picture is drawn, the larger of both ways. */
function scaleOf(image: Size, operation: Operation): number {
  const { width, height } = image;
  if (operation.operation === 'classify') return CLASSIFY_SIDE / Math.min(width, height);
  if (operation.operation === 'circle') return operation.size / Math.min(width, height);
  const size = resizedSize(image, operation);
  return Math.max(size.width / width, size.height / height);
}

/** The scale at which pixels leave the decoder: JPEG shrinks by powers of two as it decodes, a still WebP as asked. */
function loadScale({ format, frames }: ImageHeader, scale: number): number {
  if (format === 'jpeg') return Math.min(1, 2 * scale);
  return format === 'webp' && frames === 1 ? Math.min(1, scale) : 1;
}
