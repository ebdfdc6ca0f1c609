import sharp from 'sharp';
import { setUpLibvips } from './libvips.ts';

/** Pixels of the largest picture a camera may give. */
const MAX_PIXELS = 100_000_000;
const libvips = new SharedArrayBuffer(4);

/** A picture of any format Darkroom reads as an upright PNG; of an animation the first frame. Throws sharp's errors. */
export function toPng(picture: Uint8Array): Promise<Buffer> {
  setUpLibvips(libvips);
  return sharp(picture, { limitInputPixels: MAX_PIXELS }).autoOrient().png().toBuffer();
}
