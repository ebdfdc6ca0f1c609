import type { Raster } from '../../server-b/operations/raster.ts';

/** How much each of some neighbouring source pixels counts for one pixel. */
interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

/**
 * The centre square of `side` pixels of a picture whose shorter side is scaled to `short` with the bilinear filter, which
 * averages over all pixels below it when the picture gets smaller; channel after channel, 0 to 255, not rounded. Written
 * from the definition of the filter (a triangle as wide as two pixels of the smaller picture), to test other code.
 */
export function bilinearSquare({ pixels, width, height, channels }: Raster, short: number, side: number): Float64Array {
  const [across, down] =
    width <= height ? [short, Math.floor((short * height) / width)] : [Math.floor((short * width) / height), short];
  const columns = tapsOf(width, across, side);
  const rows = tapsOf(height, down, side);
  const square = new Float64Array(3 * side * side);
  const line = new Float64Array(height);
  for (let channel = 0; channel < 3; channel += 1) {
    for (const [x, column] of columns.entries()) {
      for (let y = 0; y < height; y += 1) {
        line[y] = weighted(column, (place) => pixels[(y * width + place) * channels + channel] ?? 0);
      }
      for (const [y, row] of rows.entries()) {
        square[(channel * side + y) * side + x] = weighted(row, (place) => line[place] ?? 0);
      }
    }
  }
  return square;
}

function weighted({ first, weights }: Taps, valueAt: (place: number) => number): number {
  return weights.reduce((sum, weight, offset) => sum + weight * valueAt(first + offset), 0);
}

/** The taps of the `side` pixels in the middle of `to`, from `from` pixels. */
function tapsOf(from: number, to: number, side: number): Taps[] {
  const half = (to - side) / 2;
  const start = Number.isInteger(half) ? half : 2 * Math.round(half / 2);
  const step = from / to;
  const reach = Math.max(1, step);
  return Array.from({ length: side }, (_, index) => {
    const centre = (start + index + 0.5) * step;
    const first = Math.max(0, Math.floor(centre - reach));
    const last = Math.min(from - 1, Math.ceil(centre + reach));
    const weights: number[] = [];
    for (let pixel = first; pixel <= last; pixel += 1) {
      weights.push(Math.max(0, 1 - Math.abs(pixel + 0.5 - centre) / reach));
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}
