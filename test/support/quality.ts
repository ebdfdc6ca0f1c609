import type { Raster } from '../../server-b/operations/raster.ts';

/** Peak signal-to-noise ratio of two pictures of one shape, over all channels, in dB; Infinity for equal ones. */
export function peakSignalToNoise(one: Raster, other: Raster): number {
  if (one.width !== other.width || one.pixels.length !== other.pixels.length) {
    throw new Error('Expected two pictures of one shape');
  }
  let sum = 0;
  for (let index = 0; index < one.pixels.length; index += 1) {
    sum += ((one.pixels[index] ?? 0) - (other.pixels[index] ?? 0)) ** 2;
  }
  return 10 * Math.log10((255 ** 2 * one.pixels.length) / sum);
}

/** Energy of the Laplacian, which is lower for a blurred picture. */
export function sharpness({ pixels, width, height, channels }: Raster): number {
  const row = width * channels;
  let energy = 0;
  for (let y = 1; y < height - 1; y += 1) {
    for (let offset = y * row + channels; offset < (y + 1) * row - channels; offset += 1) {
      const at = (index: number) => pixels[index] ?? 0;
      const beside = at(offset - channels) + at(offset + channels) + at(offset - row) + at(offset + row);
      energy += (4 * at(offset) - beside) ** 2;
    }
  }
  return energy;
}
