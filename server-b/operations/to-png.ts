import sharp from 'sharp';
import { SHARED_BYTES } from '../job.ts';
import { setUpLibvips } from './libvips.ts';

/** Pixels of the largest picture that is accepted from a camera. */
const MAX_PIXELS = 100_000_000;
const libvips = new SharedArrayBuffer(SHARED_BYTES);

/** Converts a picture, or the first frame of an animation, to an upright PNG. Throws sharp's errors. */
export function toPng(picture: Uint8Array): Promise<Buffer> {
  setUpLibvips(libvips);
  return sharp(picture, { limitInputPixels: MAX_PIXELS }).autoOrient().png().toBuffer();
}
