import { expect } from 'chai';
import sharp from 'sharp';
import { rasterize } from '../../../server-b/operations/raster.ts';
import { anchorBeforeTurn, turn } from '../../../server-b/operations/turn.ts';
import { GRAVITIES } from '../../../shared/operations/bounds.ts';
import type { ResizeParameters } from '../../../shared/operations/resize.ts';

/** Three columns and two rows. The value of each pixel is its index. */
const WIDTH = 3;
const HEIGHT = 2;
const numbered = () =>
  sharp(
    Uint8Array.from({ length: WIDTH * HEIGHT }, (_, index) => index),
    {
      raw: { width: WIDTH, height: HEIGHT, channels: 1 },
    },
  );

const TURNS: readonly ResizeParameters[] = ([0, 90, 180, 270] as const).flatMap((rotate) =>
  [false, true].flatMap((flip) => [false, true].map((flop) => ({ rotate, flip, flop }))),
);

/** The pixel values of the turned picture, row by row. */
async function turned(parameters: ResizeParameters): Promise<number[][]> {
  const { pixels, width, height, channels } = await rasterize(turn(numbered(), parameters));
  const value = (x: number, y: number) => pixels[(y * width + x) * channels] ?? Number.NaN;
  return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (__, x) => value(x, y)));
}

/** The index of the row or column at a share of 0, 0.5 or 1. */
function placeOf(share: number, count: number): number {
  return Math.round(share * (count - 1));
}

describe('turn', () => {
  const cases: readonly (readonly [string, ResizeParameters, number[][]])[] = [
    [
      'does nothing without parameters',
      {},
      [
        [0, 1, 2],
        [3, 4, 5],
      ],
    ],
    [
      'mirrors top to bottom with flip',
      { flip: true },
      [
        [3, 4, 5],
        [0, 1, 2],
      ],
    ],
    [
      'mirrors left to right with flop',
      { flop: true },
      [
        [2, 1, 0],
        [5, 4, 3],
      ],
    ],
    [
      'turns clockwise',
      { rotate: 90 },
      [
        [3, 0],
        [4, 1],
        [5, 2],
      ],
    ],
    [
      'turns by 180 degrees',
      { rotate: 180 },
      [
        [5, 4, 3],
        [2, 1, 0],
      ],
    ],
    [
      'turns by 270 degrees',
      { rotate: 270 },
      [
        [2, 5],
        [1, 4],
        [0, 3],
      ],
    ],
    [
      'mirrors before it turns',
      { rotate: 90, flip: true },
      [
        [0, 3],
        [1, 4],
        [2, 5],
      ],
    ],
  ];
  for (const [what, parameters, rows] of cases) {
    it(what, async () => {
      expect(await turned(parameters)).to.deep.equal(rows);
    });
  }
});

describe('anchorBeforeTurn', () => {
  it('is the place, before the turn, of the pixel that gravity keeps after the turn', async () => {
    for (const parameters of TURNS) {
      const rows = await turned(parameters);
      for (const gravity of GRAVITIES.filter((one) => /north|south|east|west/.test(one))) {
        const across = gravity.endsWith('west') ? 0 : gravity.endsWith('east') ? 1 : null;
        const down = gravity.startsWith('north') ? 0 : gravity.startsWith('south') ? 1 : null;
        const before = anchorBeforeTurn({ ...parameters, gravity });
        const isQuarter = parameters.rotate === 90 || parameters.rotate === 270;
        // The middle of an even side is between two pixels, so only directions that the gravity names are compared.
        const candidates = rows.flatMap((row, y) =>
          row.filter(
            (_, x) =>
              (across === null || x === placeOf(across, row.length)) &&
              (down === null || y === placeOf(down, rows.length)),
          ),
        );
        const [namesColumn, namesRow] = isQuarter ? [down, across] : [across, down];
        const matching = candidates.filter(
          (value) =>
            (namesColumn === null || value % WIDTH === placeOf(before.across, WIDTH)) &&
            (namesRow === null || Math.floor(value / WIDTH) === placeOf(before.down, HEIGHT)),
        );
        expect(matching, `${gravity} ${JSON.stringify(parameters)}`).to.deep.equal(candidates);
      }
    }
  });

  it('is the centre for center, centre, attention, entropy and without gravity', () => {
    for (const parameters of TURNS) {
      for (const gravity of ['center', 'centre', 'attention', 'entropy', undefined] as const) {
        expect(anchorBeforeTurn({ ...parameters, gravity })).to.deep.equal({ across: 0.5, down: 0.5 });
      }
    }
  });
});
