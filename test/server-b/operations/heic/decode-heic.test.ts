import { expect } from 'chai';
import sharp from 'sharp';
import { probe } from '../../../../server-a/probe/probe.ts';
import type { JobOutcome } from '../../../../server-b/job.ts';
import { OPERATIONS } from '../../../../server-b/operations/index.ts';
import { performJob } from '../../../../server-b/operations/perform.ts';
import type { ImageHeader } from '../../../../shared/image-header.ts';
import type { OutputSpec } from '../../../../shared/operations/index.ts';
import { Memory } from '../../../server-a/probe/agreement.ts';
import { box, bytes } from '../../../support/hand-made.ts';
import {
  GREY,
  heic,
  heicGrid,
  heicWithAlpha,
  MUTED,
  primaries,
  profile,
  QUARTERS,
  TEN_BITS,
} from '../../../support/heic-tiles.ts';
import { clap } from '../../../support/heif-file.ts';
import { decode, LIMITS, own, pixelAt } from '../../../support/pictures.ts';

const WHOLE: OutputSpec = { name: 'whole', operation: 'resize', scale_factor: 1, format: 'png' };
const RED = [255, 0, 0];
const GREEN = [0, 255, 0];
const BLUE = [0, 0, 255];
const WHITE = [255, 255, 255];

async function runJob(
  file: Uint8Array,
  outputs: OutputSpec[],
  changes: Partial<ImageHeader> = {},
  deadlineMs = 60_000,
) {
  const image = { ...(await probe(new Memory(file))), ...changes };
  const job = { outputs, image, body: own(file), deadlineMs, model: null };
  return performJob(job, LIMITS, OPERATIONS);
}

async function run(...given: Parameters<typeof runJob>): Promise<JobOutcome> {
  return (await runJob(...given)).outcome;
}

/** The picture as the service makes it: its size and the values in the middle of its quarters. */
async function made(file: Uint8Array) {
  const [picture] = picturesOf(await run(file, [WHOLE]));
  const raster = await decode(picture ?? null);
  const { width, height } = raster;
  const [left, right, top, bottom] = [width / 4, (3 * width) / 4, height / 4, (3 * height) / 4].map(Math.floor);
  const corners = [
    [left, top],
    [right, top],
    [left, bottom],
    [right, bottom],
  ];
  return { width, height, quarters: corners.map(([x = 0, y = 0]) => pixelAt(raster, x, y)) };
}

function picturesOf(outcome: JobOutcome): Uint8Array[] {
  if (outcome.kind === 'failed') throw new Error(`Expected pictures, received ${outcome.error.message}`);
  return outcome.outputs.flatMap(({ picture }) => picture ?? []);
}

function expectQuarters(received: readonly number[][], expected: readonly number[][], tolerance = 3): void {
  const shown = `received ${JSON.stringify(received)}`;
  for (const [index, values] of expected.entries()) {
    expect(received[index]?.length, shown).to.equal(values.length);
    for (const [channel, value] of values.entries()) {
      expect(received[index]?.[channel], shown).to.be.closeTo(value, tolerance);
    }
  }
}

describe('openHeic', function () {
  this.timeout(180_000);

  it('decodes 8 and 10 bits, colours and monochrome', async () => {
    for (const tile of [QUARTERS, TEN_BITS]) {
      const { width, height, quarters } = await made(heic(tile));
      expect([width, height]).to.deep.equal([64, 64]);
      expectQuarters(quarters, [RED, GREEN, BLUE, WHITE]);
    }
    const { quarters } = await made(heic(GREY));
    expectQuarters(quarters, [WHITE, [64, 64, 64], WHITE, [64, 64, 64]]);
  });

  it('turns by irot, counterclockwise, and mirrors by imir', async () => {
    expectQuarters((await made(heic(QUARTERS, box('irot', 1)))).quarters, [GREEN, WHITE, RED, BLUE]);
    expectQuarters((await made(heic(QUARTERS, box('irot', 2)))).quarters, [WHITE, BLUE, GREEN, RED]);
    expectQuarters((await made(heic(QUARTERS, box('irot', 3)))).quarters, [BLUE, RED, WHITE, GREEN]);
    expectQuarters((await made(heic(QUARTERS, box('imir', 1)))).quarters, [GREEN, RED, WHITE, BLUE]);
    expectQuarters((await made(heic(QUARTERS, box('irot', 1), box('imir', 0)))).quarters, [RED, BLUE, GREEN, WHITE]);
  });

  it('crops to the clean aperture before it turns', async () => {
    const { width, height, quarters } = await made(heic(QUARTERS, clap(16, 8), box('irot', 1)));
    expect([width, height]).to.deep.equal([8, 16]);
    expectQuarters(quarters, [GREEN, WHITE, RED, BLUE], 12);
  });

  it('puts the tiles of a grid together and cuts what exceeds it', async () => {
    const { width, height, quarters } = await made(heicGrid(MUTED, 2, 2, [100, 90]));
    expect([width, height]).to.deep.equal([100, 90]);
    // The middles of the quarters lie in the first tile, at (25, 22) and, of the other tiles, at (11, 22), (25, 3), (11, 3).
    const first = [201, 80, 61];
    expectQuarters(quarters, [first, first, first, first]);
  });

  it('keeps the alpha channel, and divides premultiplied colours by it', async () => {
    const plain = await made(heicWithAlpha(MUTED, GREY));
    expectQuarters(plain.quarters, [
      [201, 80, 61, 255],
      [60, 180, 90, 64],
      [90, 100, 211, 255],
      [128, 128, 128, 64],
    ]);
    const divided = await made(heicWithAlpha(GREY, GREY, true));
    expectQuarters(
      divided.quarters,
      [
        [...WHITE, 255],
        [...WHITE, 64],
        [...WHITE, 255],
        [...WHITE, 64],
      ],
      6,
    );
  });

  it('converts Display P3 to sRGB, as an ICC profile and as a number, and leaves sRGB as it is', async () => {
    const p3 = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
      .withIccProfile('p3')
      .png()
      .toBuffer();
    const { icc } = await sharp(p3).metadata();
    const expected = [
      [217, 69, 51],
      [0, 183, 78],
      [88, 100, 218],
      [128, 128, 128],
    ];
    expectQuarters((await made(heic(MUTED, profile(icc ?? Buffer.alloc(0))))).quarters, expected);
    expectQuarters((await made(heic(MUTED, primaries(12)))).quarters, expected);
    expectQuarters((await made(heic(MUTED, primaries(1)))).quarters, [[201, 80, 61]]);
    // BT.2020, by the matrix of BT.2087.
    expectQuarters((await made(heic(MUTED, primaries(9)))).quarters, [[246, 36, 51]], 4);
  });

  it('takes a profile that cannot be used for none', async () => {
    expectQuarters((await made(heic(MUTED, profile(Buffer.alloc(200, 7))))).quarters, [[201, 80, 61]]);
    expectQuarters((await made(heic(MUTED, profile(Buffer.alloc(0))))).quarters, [[201, 80, 61]]);
  });

  it('gives JPEG without a format, PNG where the picture has an alpha channel, and every operation works', async () => {
    const outputs: OutputSpec[] = [
      { name: 'half', operation: 'resize', scale_factor: 0.5 },
      { name: 'circle', operation: 'circle', size: 20 },
      { name: 'hash', operation: 'placeholder' },
    ];
    const opaque = await run(heic(QUARTERS), outputs);
    expect(opaque).to.have.nested.property('outputs[0].header.format', 'jpeg');
    expect(opaque).to.have.nested.property('outputs[1].header.width', 20);
    expect(opaque).to.have.nested.property('outputs[2].header.data.aspect_ratio', 1);
    const transparent = await run(heicWithAlpha(MUTED, GREY), outputs.slice(0, 1));
    expect(transparent).to.have.nested.property('outputs[0].header.format', 'png');
  });

  it('gives IMAGE_CORRUPT for a grid that is cut, also where its header was read before, and for damaged data', async () => {
    const whole = heicGrid(QUARTERS, 2, 1, [128, 64]);
    const image = await probe(new Memory(whole));
    const cut = { outputs: [WHOLE], image, body: own(whole.subarray(0, -30)), deadlineMs: 60_000, model: null };
    const damaged = heic({ ...QUARTERS, data: bytes(0xff, 0xff, 0xff, 0xff, QUARTERS.data.subarray(4)) });
    const outcomes = [(await performJob(cut, LIMITS, OPERATIONS)).outcome, await run(damaged, [WHOLE])];
    for (const outcome of outcomes) {
      expect(outcome).to.have.nested.property('error.code', 'IMAGE_CORRUPT');
      expect(outcome)
        .to.have.nested.property('error.message')
        .that.matches(/^Expected a whole heic picture, [a-z ]+$/);
    }
  });

  it('gives IMAGE_CORRUPT for pixels that exceed what the header says', async () => {
    const outcome = await run(heic(QUARTERS), [WHOLE], { width: 32 });
    expect(outcome).to.have.nested.property('error.code', 'IMAGE_CORRUPT');
  });

  it('gives IMAGE_CORRUPT for pixels that need more memory than was reserved', async () => {
    const file = heicGrid(QUARTERS, 31, 31, [1984, 1984], box('irot', 1));
    const { outcome, faults } = await runJob(file, [WHOLE], { width: 64, height: 64 });
    expect(outcome).to.have.nested.property('error.code', 'IMAGE_CORRUPT');
    expect(faults[0]?.reason).to.match(/Memory allocation error/);
  });

  it('ends the thread of a decode at the deadline', async () => {
    const file = heicGrid(QUARTERS, 30, 30, [1920, 1920]);
    const outcome = await run(file, [WHOLE], {}, 20);
    expect(outcome).to.have.nested.property('error.code', 'TIMEOUT');
  });
});
