import sharp from 'sharp';

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

/**
 * Restricts libvips in this process: no cache, one thread for each picture, only {@link ALLOWED_LOADERS}. The block
 * applies to the whole process, so only the first thread sets it; `state` says if that is done. A thread that starts
 * later must not block the loaders again, even for a moment, because other threads are using them.
 */
export function setUpLibvips(state: SharedArrayBuffer): void {
  const stage = new Int32Array(state);
  if (Atomics.compareExchange(stage, 0, UNTOUCHED, UNDER_WAY) === UNTOUCHED) {
    sharp.cache(false);
    sharp.concurrency(1);
    sharp.block({ operation: ['VipsForeignLoad'] });
    sharp.unblock({ operation: ALLOWED_LOADERS });
    Atomics.store(stage, 0, DONE);
    Atomics.notify(stage, 0);
  }
  if (Atomics.wait(stage, 0, UNDER_WAY, SET_UP_MS) === 'timed-out') {
    throw new Error(`Another thread did not set libvips up within ${SET_UP_MS} ms`);
  }
}
