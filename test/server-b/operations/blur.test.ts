import { expect } from 'chai';
import sharp from 'sharp';
import { blur } from '../../../server-b/operations/blur.ts';
import { Deadline } from '../../../server-b/operations/deadline.ts';
import { rasterize } from '../../../server-b/operations/raster.ts';
import { LARGEST_WHOLE_BLUR } from '../../../shared/operations/resize.ts';
import { waves } from '../../support/pictures.ts';
import { peakSignalToNoise } from '../../support/quality.ts';

const SIZE = { width: 240, height: 160 };

/** Waves on a plain ground, because a blur repeats the outermost pixels without end. */
function framed(alpha: number): Promise<Buffer> {
  return waves(SIZE.width - 40, SIZE.height - 40)
    .extend({ top: 20, bottom: 20, left: 20, right: 20, background: '#7a8fa0' })
    .ensureAlpha(alpha)
    .png()
    .toBuffer();
}

async function quality(png: Buffer, sigma: number): Promise<number> {
  const made = await rasterize(await blur(sharp(png), sigma, SIZE, new Deadline(60_000)));
  return peakSignalToNoise(made, await rasterize(sharp(png).blur(sigma)));
}

describe('blur', () => {
  it('is that of libvips up to the largest sigma for the whole picture', async () => {
    expect(await quality(await framed(1), LARGEST_WHOLE_BLUR)).to.equal(Number.POSITIVE_INFINITY);
  });

  it('above it, on a smaller picture, is within 45 dB of that of libvips, and half transparent 38 dB', async () => {
    for (const sigma of [LARGEST_WHOLE_BLUR + 1, 150, 200]) {
      expect(await quality(await framed(1), sigma), `opaque, ${sigma}`).above(45);
      // Each of sharp's pipelines rounds colours down after they were multiplied by alpha.
      expect(await quality(await framed(0.5), sigma), `transparent, ${sigma}`).above(38);
    }
  });

  it('keeps the size of a picture that is narrower than a pixel of the smaller one', async () => {
    const line = { width: 300, height: 1 };
    const made = await rasterize(await blur(waves(line.width, line.height), 1000, line, new Deadline(60_000)));
    expect(made).to.include(line);
  });
});
