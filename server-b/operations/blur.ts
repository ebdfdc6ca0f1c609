import type { Sharp } from 'sharp';
import type { Size } from '../../shared/operations/format.ts';
import { LARGEST_WHOLE_BLUR } from '../../shared/operations/resize.ts';
import type { Deadline } from './deadline.ts';
import { openRaster, rasterize } from './raster.ts';

/**
 * Blurs a picture of `size` pixels by `sigma` pixels. libvips' time grows with sigma, and above {@link LARGEST_WHOLE_BLUR}
 * by far more (9 s for a sigma of 300 on 0.4 megapixels), so a stronger blur is done on a smaller picture: what that loses
 * is finer than anything that the blur leaves. Throws what sharp throws.
 */
export async function blur(pipeline: Sharp, sigma: number, size: Size, deadline: Deadline): Promise<Sharp> {
  if (sigma <= LARGEST_WHOLE_BLUR) return pipeline.blur(sigma);
  const scale = LARGEST_WHOLE_BLUR / sigma;
  const width = Math.max(1, Math.round(size.width * scale));
  const height = Math.max(1, Math.round(size.height * scale));
  const whole = await rasterize(pipeline);
  const small = openRaster(whole, deadline).resize({ width, height, fit: 'fill' });
  const blurred = await rasterize(small.blur(LARGEST_WHOLE_BLUR));
  return openRaster(blurred, deadline).resize({ ...size, fit: 'fill', kernel: 'cubic' });
}
