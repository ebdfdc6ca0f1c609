import { rgbaToThumbHash } from 'thumbhash';
import { PLACEHOLDER_SIDE, type PlaceholderData } from '../../shared/operations/placeholder.ts';
import type { Product } from '../job.ts';
import type { Picture } from './picture.ts';
import { type Raster, rasterize } from './raster.ts';

/** Bits of a channel's value that choose its bin in the histogram. */
const BIN_BITS = 4;

/**
 * A ThumbHash (https://evanw.github.io/thumbhash/), the dominant colour and the aspect ratio of the first frame. Throws
 * what sharp throws.
 */
export async function placeholder(picture: Picture): Promise<Product> {
  const scale = Math.min(1, PLACEHOLDER_SIDE / Math.max(picture.width, picture.height));
  const box = { width: PLACEHOLDER_SIDE, height: PLACEHOLDER_SIDE, fit: 'inside' as const, withoutEnlargement: true };
  const small = await rasterize((await picture.first(scale)).resize(box).ensureAlpha());
  picture.deadline.check();
  const data: PlaceholderData = {
    thumbhash: Buffer.from(rgbaToThumbHash(small.width, small.height, small.pixels)).toString('base64'),
    dominant_color: dominantColor(small),
    aspect_ratio: Math.round((picture.width / picture.height) * 1e4) / 1e4,
  };
  return { kind: 'data', data };
}

/**
 * The mean colour of the fullest bin in a histogram of 16 × 16 × 16 colours, as `#rrggbb`. Transparent pixels do not
 * count; white if the picture has no others.
 */
export function dominantColor({ pixels }: Pick<Raster, 'pixels'>): string {
  const shift = 8 - BIN_BITS;
  const bins = new Map<number, [count: number, red: number, green: number, blue: number]>();
  for (let offset = 0; offset < pixels.length; offset += 4) {
    const [red = 0, green = 0, blue = 0, alpha = 0] = pixels.subarray(offset, offset + 4);
    if (alpha < 128) continue;
    const key = ((red >> shift) << (2 * BIN_BITS)) | ((green >> shift) << BIN_BITS) | (blue >> shift);
    const bin = bins.get(key) ?? [0, 0, 0, 0];
    bins.set(key, [bin[0] + 1, bin[1] + red, bin[2] + green, bin[3] + blue]);
  }
  const [count, ...sums] = [...bins.values()].toSorted(([one], [other]) => other - one)[0] ?? [1, 255, 255, 255];
  return `#${sums
    .map((sum) =>
      Math.round(sum / count)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`;
}
