import sharp from 'sharp';

/** The only loaders a picture may reach: from memory, one for each format of shared/operations. */
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
 * Bounds libvips for this process: no cache, one thread a picture, and no loaders but {@link ALLOWED_LOADERS}.
 * The block holds for the whole process, so only the first thread sets it, tracked in `state`: a thread that starts
 * later must not block, however briefly, the loaders that others are using.
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
    throw new Error('Expected another thread to set libvips up, it did not');
  }
}
