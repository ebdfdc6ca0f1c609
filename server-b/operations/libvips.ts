import sharp from 'sharp';
import { SHARED_BYTES } from '../job.ts';

/** The only loaders that may read a picture: from memory, one for each format of shared/operations. */
const ALLOWED_LOADERS = [
  'VipsForeignLoadJpegBuffer',
  'VipsForeignLoadPngBuffer',
  'VipsForeignLoadWebpBuffer',
  'VipsForeignLoadNsgifBuffer',
  'VipsForeignLoadHeifBuffer',
  'VipsForeignLoadTiffBuffer',
];
const UNTOUCHED = 0;
const UNDER_WAY = 1;
const DONE = 2;
const SET_UP_MS = 10_000;

/** Indexes of the numbers that all threads share. */
const STAGE = 0;
const INCOMPLETE_READS = 1;
/** The memory of all threads; of this thread only until {@link setUpLibvips} is called. */
let shared = new Int32Array(new SharedArrayBuffer(SHARED_BYTES));

/**
 * Notes a warning of libvips. Its JPEG reader fails at a warning of libjpeg only when it reads further rows, so that it
 * misses damage in its last eight rows, which are 64 rows of a picture that is shrunk by 8. It then says so in a warning
 * when it closes the picture (libvips' jpeg2vips.c, `readjpeg_free`).
 */
export function noteWarning(text: string): void {
  if (text.startsWith('read gave')) Atomics.add(shared, INCOMPLETE_READS, 1);
}

/**
 * How many pictures, in all threads, have been read with a warning and without an error. Which ones cannot be known:
 * libvips has one list of warnings for all threads.
 */
export function countWarnings(): number {
  return Atomics.load(shared, INCOMPLETE_READS);
}

/**
 * Restricts libvips in this process: no cache, one thread for each picture, only {@link ALLOWED_LOADERS}. Every thread
 * must call this after it has loaded sharp, because sharp turns the cache of the whole process on each time it is loaded
 * (its lib/utility.js). A cache that stays on keeps pipelines with all their memory, for a large progressive JPEG 600 MB.
 *
 * Only the first thread sets the block; `state`, of {@link SHARED_BYTES} bytes, says if that is done. A thread that starts
 * later must not block the loaders again, even for a moment, because other threads are using them.
 */
export function setUpLibvips(state: SharedArrayBuffer): void {
  const stage = new Int32Array(state);
  shared = stage;
  sharp.cache(false);
  sharp.concurrency(1);
  if (Atomics.compareExchange(stage, STAGE, UNTOUCHED, UNDER_WAY) === UNTOUCHED) {
    sharp.block({ operation: ['VipsForeignLoad'] });
    sharp.unblock({ operation: ALLOWED_LOADERS });
    Atomics.store(stage, STAGE, DONE);
    Atomics.notify(stage, STAGE);
  }
  if (Atomics.wait(stage, STAGE, UNDER_WAY, SET_UP_MS) === 'timed-out') {
    throw new Error(`Another thread did not set libvips up within ${SET_UP_MS} ms`);
  }
}
