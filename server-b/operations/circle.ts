import type { CircleSpec } from '../../shared/operations/circle.ts';
import type { Product } from '../job.ts';
import { cover } from './cover.ts';
import { checkFormatHolds, encode, WHITE } from './encode.ts';
import type { Picture } from './picture.ts';
import { openRaster, rasterize } from './raster.ts';

const CHANNELS = 4;

/**
 * The centred circle whose diameter is the shorter side, scaled to `size` × `size` pixels: transparent outside, its
 * edge anti-aliased, transparency of the picture kept inside. PNG unless webp or avif is requested. An animation gives
 * its first frame. Throws IMAGE_TOO_LARGE when the format cannot hold the size, and the errors of sharp.
 */
export async function circle(picture: Picture, parameters: CircleSpec): Promise<Product> {
  const { size, format = 'png', quality, grayscale = false, lossless = false } = parameters;
  const square = { width: size, height: size };
  checkFormatHolds(format, square);
  const raster = await rasterize((await cover(picture, square)).ensureAlpha());
  picture.deadline.check();
  cutCircle(raster.pixels, size);
  return encode(openRaster(raster, picture.deadline), { format, quality, grayscale, lossless, background: WHITE });
}

/**
 * Makes the RGBA pixels of a square picture transparent outside of its inscribed circle, in place. A pixel on the edge
 * keeps a share of its alpha that follows from the distance between its centre and the edge.
 */
export function cutCircle(pixels: Uint8Array, size: number): void {
  const radius = size / 2;
  for (let row = 0; row < size; row += 1) {
    const down = row + 0.5 - radius;
    // Only columns within half a pixel of the edge need work at each pixel.
    const outer = halfChord(radius + 0.5, down);
    const inner = halfChord(radius - 0.5, down);
    const firstTouched = Math.max(0, Math.floor(radius - outer - 0.5));
    const firstWhole = Math.min(Math.ceil(radius), Math.max(firstTouched, Math.ceil(radius - inner)));
    const start = row * size * CHANNELS;
    pixels.fill(0, start, start + firstTouched * CHANNELS);
    for (let column = firstTouched; column < firstWhole; column += 1) {
      const coverage = radius + 0.5 - Math.hypot(column + 0.5 - radius, down);
      fade(pixels, start + column * CHANNELS, coverage);
      const mirrored = size - 1 - column;
      if (mirrored !== column) fade(pixels, start + mirrored * CHANNELS, coverage);
    }
    pixels.fill(0, start + (size - firstTouched) * CHANNELS, start + size * CHANNELS);
  }
}

/** Half the length of the chord at `distance` from the centre of a circle; 0 outside of the circle. */
function halfChord(radius: number, distance: number): number {
  return Math.sqrt(Math.max(0, radius * radius - distance * distance));
}

function fade(pixels: Uint8Array, offset: number, coverage: number): void {
  if (coverage >= 1) return;
  if (coverage <= 0) pixels.fill(0, offset, offset + CHANNELS);
  else pixels[offset + 3] = Math.round((pixels[offset + 3] ?? 0) * coverage);
}
