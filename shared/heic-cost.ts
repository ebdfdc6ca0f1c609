import type { ImageHeader } from './image-header.ts';
import { countCodedPixels, countPixels } from './limits.ts';

// Measured with libheif-js 1.23.2: the size to which its memory grew, for pictures of 6 to 50 megapixels with 8 and 10
// bits, each chroma format, with and without alpha, turned and not, as one picture and as a grid.

/** Memory of the thread that decodes a HEIC, with the compiled code of libheif and its first memory, in bytes. */
const THREAD_BYTES = 48 * 1024 * 1024;
/** By how many bytes the memory grows for a small picture. */
const SPARE_BYTES = 16 * 1024 * 1024;
/** Bytes for each pixel: the planes of libde265, those of libheif, and RGB, twice while a picture is turned. */
const PLANES = { deep: 22, single: 10, grid: 7.5, alpha: 3 };

/** Bytes by which libheif's memory may grow for a HEIC of `bytes`: the file, and the planes of the picture. */
export function heicGrowth(bytes: number, image: ImageHeader): number {
  const colours = image.depth > 8 ? PLANES.deep : image.progressive ? PLANES.single : PLANES.grid;
  const each = colours + (image.alpha ? PLANES.alpha : 0);
  return SPARE_BYTES + bytes + Math.ceil(each * countCodedPixels(image));
}

/**
 * Peak memory of a job for a HEIC beside its body. First libheif with the pixels that it gives; then, when its thread has
 * ended, the pixels, and either the conversion of their colours or `rest`, the memory of the outputs.
 */
export function heicCost(bytes: number, image: ImageHeader, rest: number): number {
  const pixels = image.channels * countPixels(image);
  return Math.max(THREAD_BYTES + heicGrowth(bytes, image) + pixels, pixels + Math.max(2 * pixels, rest));
}
