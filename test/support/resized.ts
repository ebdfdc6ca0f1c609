import { expect } from 'chai';
import sharp from 'sharp';
import { type Raster, rasterize } from '../../server-b/operations/raster.ts';
import { resize } from '../../server-b/operations/resize.ts';
import type { ResizeParameters } from '../../shared/operations/resize.ts';
import { drawn, openPicture, plain } from './pictures.ts';

/** Resizes an encoded picture. Resolves with the facts of the output, and its bytes as `picture`. */
export async function resized(body: Uint8Array, parameters: ResizeParameters) {
  return drawn(await resize(await openPicture(body), { name: 'resize', operation: 'resize', ...parameters }));
}

/** Joins pictures of one size into an animation. Frame n is shown for 100 + 50 n ms, and it plays three times. */
export function join(format: 'gif' | 'webp', frames: readonly Buffer[]): Promise<Buffer> {
  const delay = frames.map((_, index) => 100 + 50 * index);
  return sharp([...frames], { join: { animated: true } })
    [format]({ delay, loop: 3 })
    .toBuffer();
}

/** An animation whose frames are red, green, blue, red, …. */
export async function animation(format: 'gif' | 'webp', frames = 3, width = 30, height = 20): Promise<Buffer> {
  const colors = ['#ff0000', '#00ff00', '#0000ff'];
  return join(
    format,
    await Promise.all(Array.from({ length: frames }, (_, index) => plain(width, height, colors[index % 3] ?? ''))),
  );
}

/** The pixels of each frame of an encoded animation, RGBA. */
export async function framesOf(body: Uint8Array): Promise<Raster[]> {
  const { pages = 1 } = await sharp(body).metadata();
  return Promise.all(Array.from({ length: pages }, (_, page) => rasterize(sharp(body, { page }).ensureAlpha())));
}

/** Asserts that each value of a pixel is within `tolerance` of the expected one. */
export function expectNear(found: readonly number[], expected: readonly number[], what = '', tolerance = 4): void {
  const differences = expected.map((value, index) => Math.abs(value - (found[index] ?? Number.NaN)));
  expect(Math.max(...differences), `${what} found ${found.join(' ')}, expected ${expected.join(' ')}`).to.be.at.most(
    tolerance,
  );
}
