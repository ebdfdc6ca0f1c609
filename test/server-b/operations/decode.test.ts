import { expect } from 'chai';
import { rasterize } from '../../../server-b/operations/decode.ts';
import { encode, WHITE } from '../../../server-b/operations/encode.ts';
import { drawn, waves } from '../../support/pictures.ts';

const MEBIBYTE = 1024 * 1024;
const ROUNDS = 40;

/** Bytes by which this process grows while `work` runs many times. The growth of the first rounds does not count. */
async function growth(work: () => Promise<unknown>): Promise<number> {
  for (let round = 0; round < ROUNDS / 4; round += 1) await work();
  const before = process.memoryUsage().rss;
  for (let round = 0; round < ROUNDS; round += 1) await work();
  return process.memoryUsage().rss - before;
}

describe('memory of pictures', function () {
  this.timeout(120_000);

  const picture = waves(1000, 1000);
  const pixelBytes = 3 * 1000 * 1000;

  it('is freed after pixels', async () => {
    const grown = await growth(() => rasterize(picture.clone()));
    expect(grown / MEBIBYTE).below((ROUNDS * pixelBytes) / 2 / MEBIBYTE);
  });

  it('is freed after encoded pictures', async () => {
    // TIFF, because it is quick to write and nearly as large as the pixels.
    const plainly = { quality: undefined, grayscale: false, lossless: false };
    const encoding = { format: 'tiff', ...plainly, background: WHITE } as const;
    const bytes = drawn(await encode(picture.clone(), encoding)).picture.byteLength;
    expect(bytes).above(pixelBytes / 4);
    const grown = await growth(() => encode(picture.clone(), encoding));
    expect(grown / MEBIBYTE).below((ROUNDS * bytes) / 2 / MEBIBYTE);
  });
});
