import { countPixels, decodedBytes, outputSize } from '../shared/limits.ts';
import type { Operation } from '../shared/operations.ts';
import type { ImageHeader } from '../shared/task.ts';

/** What one job takes beside its pixels: library state, tiles, the classifier's tensors. */
const FIXED_BYTES = 4 * 1024 * 1024;
/** Bytes per pixel of an output under way: RGBA, and as much again for its encoder. */
const OUTPUT_PIXEL_BYTES = 8;
/** A progressive JPEG's coefficients are held for the whole picture, two bytes a sample, beside its pixels. */
const PROGRESSIVE_FACTOR = 3;

/**
 * Memory in bytes that a job may take at its peak, so that the sum over all running jobs can be bounded: the body as it
 * came, the decoded picture, every output. It errs on the high side; `bench/memory.ts` holds it against what is seen.
 */
export function jobCost(bytes: number, image: ImageHeader, operations: readonly Operation[]): number {
  const decoded = decodedBytes(image) * (image.progressive ? PROGRESSIVE_FACTOR : 1);
  const outputs = operations
    .map((operation) => outputSize(image, operation))
    .reduce((sum, size) => sum + (size === null ? 0 : countPixels(size) * OUTPUT_PIXEL_BYTES), 0);
  return FIXED_BYTES + bytes + decoded + outputs;
}
