import { expect } from 'chai';
import { cover, coverScale, isTooLongToScale } from '../../../server-b/operations/cover.ts';
import { rasterize } from '../../../server-b/operations/raster.ts';
import { openPicture, pixelAt, stripes } from '../../support/pictures.ts';
import { expectNear } from '../../support/resized.ts';

const RED = [255, 0, 0];
const GREEN = [0, 255, 0];
const BLUE = [0, 0, 255];

/** The colour in the middle of the result of `cover`. */
async function middle(
  body: Uint8Array,
  ...[box, position, anchor]: Parameters<typeof cover> extends [unknown, ...infer Rest] ? Rest : never
) {
  const raster = await rasterize(await cover(await openPicture(body), box, position, anchor));
  expect(raster).to.include({ width: box.width, height: box.height });
  return pixelAt(raster, Math.floor(box.width / 2), Math.floor(box.height / 2));
}

describe('coverScale', () => {
  it('is the larger of both scales, so that no part of the box stays empty', () => {
    expect(coverScale({ width: 100, height: 50 }, { width: 10, height: 10 })).to.equal(0.2);
    expect(coverScale({ width: 50, height: 100 }, { width: 10, height: 10 })).to.equal(0.2);
    expect(coverScale({ width: 10, height: 10 }, { width: 30, height: 20 })).to.equal(3);
  });
});

describe('isTooLongToScale', () => {
  it('is true for a longer side of more than a million pixels', () => {
    expect(isTooLongToScale({ width: 1000, height: 1 }, 1000)).to.equal(false);
    expect(isTooLongToScale({ width: 1000, height: 1 }, 1000.1)).to.equal(true);
    expect(isTooLongToScale({ width: 1, height: 1001 }, 1000)).to.equal(true);
  });
});

describe('cover', () => {
  const box = { width: 30, height: 30 };

  it('keeps the centre without a position', async () => {
    expect(await middle(await stripes(90, 30).png().toBuffer(), box)).to.deep.equal(GREEN);
    expect(await middle(await stripes(30, 90).png().toBuffer(), box)).to.deep.equal(GREEN);
  });

  it('keeps the side that the position names', async () => {
    const wide = await stripes(90, 30).png().toBuffer();
    expect(await middle(wide, box, 'west')).to.deep.equal(RED);
    expect(await middle(wide, box, 'east')).to.deep.equal(BLUE);
    const tall = await stripes(30, 90).png().toBuffer();
    expect(await middle(tall, box, 'north')).to.deep.equal(RED);
    expect(await middle(tall, box, 'south')).to.deep.equal(BLUE);
  });

  it('keeps the part that the anchor names of a picture too long to be scaled', async () => {
    const square = { width: 1200, height: 1200 };
    for (const [share, color] of [
      [0, RED],
      [0.5, GREEN],
      [1, BLUE],
    ] as const) {
      const wide = await middle(await stripes(3000, 2).png().toBuffer(), square, 'centre', {
        across: share,
        down: 0.5,
      });
      expectNear(wide, color, `across ${share}`);
      const tall = await middle(await stripes(2, 3000).png().toBuffer(), square, 'centre', {
        across: 0.5,
        down: share,
      });
      expectNear(tall, color, `down ${share}`);
    }
  });
});
