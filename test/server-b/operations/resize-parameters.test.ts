import { expect } from 'chai';
import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { FITS, GRAVITIES } from '../../../shared/operations/bounds.ts';
import { resizedSize } from '../../../shared/operations/resize.ts';
import { decode, meanDifference, pixelAt, plain, quarters, stripes, waves } from '../../support/pictures.ts';
import { sharpness } from '../../support/quality.ts';
import { expectNear, resized } from '../../support/resized.ts';

const RED = [255, 0, 0];
const GREEN = [0, 255, 0];
const BLUE = [0, 0, 255];
const ORANGE = [255, 165, 0];
const COMPASS = GRAVITIES.filter((gravity) => gravity !== 'attention' && gravity !== 'entropy');
const ROTATIONS = [0, 90, 180, 270] as const;

/** A dull picture with a small, colourful, detailed square whose corner is at `left`, `top`. */
async function withDetail(width: number, height: number, left: number, top: number): Promise<Buffer> {
  const detail = await waves(20, 20).modulate({ saturation: 2 }).png().toBuffer();
  return sharp({ create: { width, height, channels: 3, background: '#777777' } })
    .composite([{ input: detail, left, top }])
    .removeAlpha()
    .png()
    .toBuffer();
}

/** A whole picture, mirrored and then turned by sharp itself. */
function turnedWhole(picture: Sharp, { rotate = 0, flip = false, flop = false }): Promise<Buffer> {
  return picture.flip(flip).flop(flop).rotate(rotate).png().toBuffer();
}

async function pixelsOf(body: Uint8Array, parameters: Parameters<typeof resized>[1]) {
  return decode((await resized(body, parameters)).picture);
}

describe('resize with gravity', function () {
  this.timeout(120_000);

  for (const gravity of COMPASS) {
    it(`${gravity} keeps that part of a wide and of a tall picture`, async () => {
      const box = { width: 30, height: 30, fit: 'cover', gravity } as const;
      const column = gravity.endsWith('west') ? RED : gravity.endsWith('east') ? BLUE : GREEN;
      const row = gravity.startsWith('north') ? RED : gravity.startsWith('south') ? BLUE : GREEN;
      const [wide, high] = [
        await pixelsOf(await stripes(90, 30).png().toBuffer(), box),
        await pixelsOf(await stripes(30, 90).png().toBuffer(), box),
      ];
      for (const [x, y] of [
        [0, 0],
        [29, 29],
      ] as const) {
        expect(pixelAt(wide, x, y)).to.deep.equal(column);
        expect(pixelAt(high, x, y)).to.deep.equal(row);
      }
    });
  }

  it('keeps the right part of the turned and mirrored picture', async () => {
    for (const source of [quarters(90, 30), quarters(30, 90)]) {
      const body = await source.png().toBuffer();
      for (const rotate of ROTATIONS) {
        for (const mirror of [{}, { flip: true }, { flop: true }]) {
          const turned = await turnedWhole(sharp(body), { rotate, ...mirror });
          for (const gravity of ['northwest', 'southeast', 'east', 'south'] as const) {
            const box = { width: 30, height: 30, fit: 'cover', gravity } as const;
            const [found, expected] = [
              await pixelsOf(body, { ...box, rotate, ...mirror }),
              await pixelsOf(turned, box),
            ];
            expect(meanDifference(found, expected), JSON.stringify({ rotate, ...mirror, gravity })).to.equal(0);
          }
        }
      }
    }
  });

  it('keeps the right part of a turned picture that is too long to be scaled', async () => {
    const box = { width: 1200, height: 1200, fit: 'cover' } as const;
    const long = await stripes(3000, 2).png().toBuffer();
    expectNear(pixelAt(await pixelsOf(long, { ...box, gravity: 'west' }), 600, 600), RED);
    expectNear(pixelAt(await pixelsOf(long, { ...box, gravity: 'north', rotate: 90 }), 600, 600), RED);
    expectNear(pixelAt(await pixelsOf(long, { ...box, gravity: 'south', rotate: 90 }), 600, 600), BLUE);
    expectNear(pixelAt(await pixelsOf(long, { ...box, gravity: 'west', flop: true }), 600, 600), BLUE);
  });

  for (const gravity of ['attention', 'entropy'] as const) {
    it(`${gravity} keeps the part with colour and detail, at any place`, async () => {
      const box = { width: 40, height: 40, fit: 'cover', gravity } as const;
      for (const left of [5, 90, 175]) {
        const wide = await withDetail(200, 40, left, 10);
        const high = await sharp(wide).rotate(90).png().toBuffer();
        for (const body of [wide, high]) {
          const found = await pixelsOf(body, box);
          const energy = sharpness(found);
          const whole = sharpness(await decode(body));
          expect(energy / whole, `detail at ${left}`).to.be.above(0.6);
        }
      }
    });
  }

  it('attention and entropy give the requested size, in every shape, turned and mirrored', async () => {
    const side = fc.integer({ min: 1, max: 60 });
    const parameters = fc.record({
      gravity: fc.constantFrom('attention' as const, 'entropy' as const),
      rotate: fc.constantFrom(...ROTATIONS),
      flip: fc.boolean(),
      width: side,
      height: side,
    });
    await fc.assert(
      fc.asyncProperty(side, side, parameters, async (width, height, given) => {
        const facts = await resized(await waves(width, height).png().toBuffer(), { ...given, fit: 'cover' });
        expect(facts).to.include({ width: given.width, height: given.height });
      }),
      { numRuns: 30 },
    );
  });
});

describe('resize with background', () => {
  it('pads with the colour, also a transparent one', async () => {
    const body = await plain(60, 20, '#0000ff');
    const box = { width: 60, height: 60, fit: 'contain' } as const;
    for (const format of ['png', 'jpeg', 'webp', 'avif', 'tiff', 'gif'] as const) {
      const padded = await pixelsOf(body, { ...box, format, background: '#ffa500' });
      expectNear(pixelAt(padded, 30, 3), ORANGE, `${format} above`, 6);
      expectNear(pixelAt(padded, 30, 56), ORANGE, `${format} below`, 6);
      expectNear(pixelAt(padded, 30, 30), BLUE, `${format} picture`, 6);
    }
    const clear = await pixelsOf(body, { ...box, background: '#ffa50080' });
    expect(pixelAt(clear, 30, 3)).to.deep.equal([...ORANGE, 128]);
    expect(pixelAt(clear, 30, 30)).to.deep.equal([...BLUE, 255]);
  });

  it('pads a turned picture', async () => {
    const box = { width: 60, height: 60, fit: 'contain', background: '#ffa500' } as const;
    for (const rotate of ROTATIONS) {
      const padded = await pixelsOf(await plain(60, 20, '#0000ff'), { ...box, rotate });
      const isQuarter = rotate === 90 || rotate === 270;
      expectNear(pixelAt(padded, 30, 3), isQuarter ? BLUE : ORANGE, `${rotate}, above`);
      expectNear(pixelAt(padded, 3, 30), isQuarter ? ORANGE : BLUE, `${rotate}, left`);
    }
  });

  it('replaces transparency in a format without transparency', async () => {
    const half = { create: { width: 20, height: 20, channels: 4 as const, background: '#0000ff80' } };
    const body = await sharp(half).png().toBuffer();
    const flat = await pixelsOf(body, { scale_factor: 1, format: 'jpeg', background: '#ffa500' });
    expectNear(pixelAt(flat, 10, 10), [127, 82, 128], 'jpeg', 5);
  });
});

describe('resize with rotate, flip and flop', () => {
  it('turns the picture first and then fits it, for every fit', async () => {
    const body = await waves(90, 60).png().toBuffer();
    for (const rotate of [90, 180, 270] as const) {
      const turned = await turnedWhole(sharp(body), { rotate });
      for (const fit of FITS) {
        for (const box of [{ width: 40, height: 30 }, { width: 25, height: 50 }, { width: 31 }]) {
          const [found, expected] = [
            await resized(body, { ...box, fit, rotate }),
            await resized(turned, { ...box, fit }),
          ];
          const what = JSON.stringify({ fit, rotate, ...box });
          expect([found.width, found.height], what).to.deep.equal([expected.width, expected.height]);
          expect(meanDifference(await decode(found.picture), await decode(expected.picture)), what).to.be.below(3);
        }
      }
    }
  });

  it('turns a scaled picture to the size that resizedSize computes', async () => {
    const body = await waves(90, 61).jpeg({ quality: 95 }).toBuffer();
    for (const rotate of ROTATIONS) {
      const parameters = { scale_factor: 0.3, rotate };
      expect(await resized(body, parameters)).to.include(resizedSize({ width: 90, height: 61 }, parameters));
    }
  });

  it('turns and mirrors after EXIF orientation has been applied', async () => {
    for (const orientation of [3, 5, 6, 8]) {
      const body = await waves(60, 40).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
      const upright = await sharp(body).autoOrient().png().toBuffer();
      for (const turn of [{ rotate: 90 }, { rotate: 180, flop: true }, { flip: true }] as const) {
        for (const box of [{ scale_factor: 0.5 }, { width: 20, height: 15, fit: 'cover' }] as const) {
          const found = await pixelsOf(body, { ...box, ...turn, format: 'png' });
          const expected = await pixelsOf(upright, { ...box, ...turn });
          const what = JSON.stringify({ orientation, ...turn, ...box });
          expect([found.width, found.height], what).to.deep.equal([expected.width, expected.height]);
          expect(meanDifference(found, expected), what).to.be.below(3);
        }
      }
    }
  });

  it('mirrors top to bottom with flip, left to right with flop, exactly', async () => {
    const body = await waves(33, 21).png().toBuffer();
    for (const mirror of [{ flip: true }, { flop: true }, { flip: true, flop: true }]) {
      const found = await pixelsOf(body, { scale_factor: 1, ...mirror });
      const expected = await decode(await turnedWhole(sharp(body), mirror));
      expect(meanDifference(found, expected), JSON.stringify(mirror)).to.equal(0);
    }
  });
});

describe('resize with blur and sharpen', () => {
  const parameters = { scale_factor: 0.5 };
  let body: Buffer;

  before(async () => {
    body = await waves(160, 120).png().toBuffer();
  });

  it('blurs by sigma, and more with a larger sigma', async () => {
    const [plainly, little, much] = await Promise.all(
      [{}, { blur: 3 }, { blur: 12 }].map(async (filter) =>
        sharpness(await pixelsOf(body, { ...parameters, ...filter })),
      ),
    );
    expect(little).to.be.below(0.8 * (plainly ?? 0));
    expect(much).to.be.below(0.5 * (little ?? 0));
  });

  it('sharpens mildly with true, and by sigma', async () => {
    const [plainly, mildly, bySigma] = await Promise.all(
      [{}, { sharpen: true }, { sharpen: 2 }].map(async (filter) =>
        sharpness(await pixelsOf(body, { ...parameters, ...filter })),
      ),
    );
    expect(mildly).to.be.above(1.1 * (plainly ?? 0));
    expect(bySigma)
      .to.be.above(1.1 * (plainly ?? 0))
      .and.not.equal(mildly);
  });

  it('does not sharpen with false', async () => {
    const [plainly, off] = [await resized(body, parameters), await resized(body, { ...parameters, sharpen: false })];
    expect(Buffer.compare(plainly.picture, off.picture)).to.equal(0);
  });

  it('does not change a picture of one colour, up to its edges', async () => {
    const one = await plain(40, 40, '#336699');
    for (const filter of [{ blur: 4 }, { sharpen: true }]) {
      const found = await pixelsOf(one, { ...parameters, ...filter });
      for (const [x, y] of [
        [0, 0],
        [10, 10],
        [19, 19],
      ] as const) {
        expectNear(pixelAt(found, x, y), [51, 102, 153], JSON.stringify(filter), 1);
      }
    }
  });
});

describe('resize with lossless', () => {
  it('keeps every pixel in webp, even transparent ones', async () => {
    const body = await waves(60, 40).ensureAlpha(0.5).png().toBuffer();
    const expected = await pixelsOf(body, { scale_factor: 0.5 });
    const found = await pixelsOf(body, { scale_factor: 0.5, format: 'webp', lossless: true });
    expect(meanDifference(found, expected)).to.equal(0);
    const lossy = await pixelsOf(body, { scale_factor: 0.5, format: 'webp' });
    expect(meanDifference(lossy, expected)).to.be.above(0);
  });

  it('keeps every pixel in avif', async () => {
    const body = await waves(60, 40).png().toBuffer();
    const expected = await pixelsOf(body, { scale_factor: 0.5 });
    const found = await pixelsOf(body, { scale_factor: 0.5, format: 'avif', lossless: true });
    expect(meanDifference(found, expected)).to.equal(0);
    const lossy = await pixelsOf(body, { scale_factor: 0.5, format: 'avif' });
    expect(meanDifference(lossy, expected)).to.be.above(0);
  });
});
