import { jobCost } from '../shared/cost.ts';
import { MEBIBYTE } from '../shared/limits.ts';
import type { WorkerJob } from './job.ts';

/**
 * A job that needs at least so much memory is large: a JPEG of 40 megapixels, a HEIC of 8. Its thread works on it for half
 * a second or more, so that one such job keeps a thread busy, and a collection of garbage takes less than one percent.
 */
export const LARGE_JOB_BYTES = 128 * MEBIBYTE;

/**
 * Frees the body and the pixels of a large job soon after its reply. They are outside of V8's heap, which hardly grows in
 * a worker, so the collector alone leaves the pixels of one or two earlier pictures of each slot: 300 MiB after pictures
 * of 100 megapixels that were halved, which no budget counts. Does nothing in a process without `--expose-gc`.
 */
export function collectAfter({ body, image, outputs }: WorkerJob): void {
  if (globalThis.gc === undefined || jobCost(body.length, image, outputs) < LARGE_JOB_BYTES) return;
  setImmediate(() => globalThis.gc?.());
}
