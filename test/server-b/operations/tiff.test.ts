import { expect } from 'chai';
import sharp from 'sharp';
import { OPERATIONS } from '../../../server-b/operations/index.ts';
import { performJob } from '../../../server-b/operations/perform.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { probeBytes } from '../../server-a/probe/agreement.ts';
import type { Field } from '../../support/hand-made.ts';
import { type TiffPage, tiffOf } from '../../support/hand-made-tiff.ts';
import { decode, LIMITS, own, pixelAt } from '../../support/pictures.ts';
import { expectNear } from '../../support/resized.ts';

const [WIDTH, HEIGHT] = [12, 8];
/** One colour with a light stripe in its right half: red, green and blue; grey; cyan, magenta, yellow and black. */
const COLOURS = { rgb: [200, 80, 20], grey: [90], cmyk: [0, 255, 255, 0] } as const;
const PHOTOMETRIC = { rgb: 2, grey: 1, cmyk: 5 } as const;
type Kind = keyof typeof COLOURS;

const OUTPUTS: OutputSpec[] = [
  { name: 'png', operation: 'resize', format: 'png', scale_factor: 1 },
  { name: 'small', operation: 'resize', format: 'png', width: 6, height: 4, fit: 'fill' },
  { name: 'jpeg', operation: 'resize', format: 'jpeg', scale_factor: 1, quality: 100 },
  { name: 'circle', operation: 'circle', size: 8 },
  { name: 'hash', operation: 'placeholder' },
];

/** A picture of one colour whose extra samples go up and down over its width. */
function page(kind: Kind, extras: number, bits: 8 | 16, more: Partial<TiffPage> = {}): TiffPage {
  const values: number[] = [];
  for (let index = 0; index < WIDTH * HEIGHT; index += 1) {
    const wave = ((index % WIDTH) * 60) % 256;
    values.push(...COLOURS[kind], ...Array.from({ length: extras }, () => wave));
  }
  const samples = bits === 8 ? Uint8Array.from(values) : Uint16Array.from(values, (value) => value * 257);
  return { width: WIDTH, height: HEIGHT, samples, photometric: PHOTOMETRIC[kind], ...more };
}

/** Probes a picture as Server A does, and makes every output of it as Server B does. */
async function made(file: Uint8Array) {
  const header = await probeBytes(file);
  const job = { body: own(file), image: header, outputs: OUTPUTS, deadlineMs: 30_000, model: null };
  const { outcome, faults } = await performJob(job, LIMITS, OPERATIONS);
  if (outcome.kind !== 'done') throw new Error(`Expected outputs, received ${outcome.error.message}`);
  expect(faults).to.deep.equal([]);
  return new Map(outcome.outputs.map(({ header: { name }, picture }) => [name, picture]));
}

const expected = { rgb: [200, 80, 20], grey: [90, 90, 90], cmyk: [232, 0, 0] } as const;

describe('pictures made from TIFF', () => {
  for (const kind of ['rgb', 'grey', 'cmyk'] as const) {
    for (const [extras, bits] of [
      [[0], 8],
      [[0], 16],
      [[0, 0], 8],
      [[2, 0], 8],
      [[0, 0, 0, 0, 0, 0], 16],
      [undefined, 8],
    ] as const) {
      const title = extras === undefined ? 'one extra channel that no tag describes' : `ExtraSamples ${extras}`;
      it(`show only the colours of ${bits}-bit ${kind} with ${title}`, async () => {
        const count = extras?.length ?? 1;
        const outputs = await made(tiffOf(page(kind, count, bits, extras === undefined ? {} : { extras })));
        for (const name of ['png', 'small', 'jpeg']) {
          const picture = await decode(outputs.get(name) ?? null);
          expect(picture.channels, name).to.equal(3);
          for (const x of [0, 3, 5]) expectNear(pixelAt(picture, x, 2), expected[kind], `${name} at ${x}`, 6);
        }
        const circle = await decode(outputs.get('circle') ?? null);
        expectNear(pixelAt(circle, 4, 4), [...expected[kind], 255], 'circle', 6);
      });
    }
  }

  it('have the alpha of ExtraSamples 2, and that of 1, whose colours are multiplied with it', async () => {
    const straight = Uint8Array.from({ length: WIDTH * HEIGHT * 4 }, (_, index) => [200, 80, 20, 128][index % 4] ?? 0);
    const multiplied = Uint8Array.from(
      { length: WIDTH * HEIGHT * 4 },
      (_, index) => [100, 40, 10, 128][index % 4] ?? 0,
    );
    for (const [extra, samples] of [
      [2, straight],
      [1, multiplied],
    ] as const) {
      const outputs = await made(tiffOf(page('rgb', 1, 8, { samples, extras: [extra] })));
      for (const name of ['png', 'small', 'circle']) {
        const picture = await decode(outputs.get(name) ?? null);
        expectNear(pixelAt(picture, 3, 2), [200, 80, 20, 128], `${extra} ${name}`, 3);
      }
    }
  });

  it('are of the picture, not of the thumbnail before it, in a later directory or in a SubIFD', async () => {
    const thumbnail = page('grey', 0, 8, { width: 4, height: 2, samples: new Uint8Array(8), fields: [[254, 4, 1]] });
    const picture = page('rgb', 0, 8);
    for (const file of [tiffOf(thumbnail, picture), tiffOf({ ...thumbnail, subifds: [thumbnail, picture] })]) {
      const png = await decode((await made(file)).get('png') ?? null);
      expect(png).to.include({ width: WIDTH, height: HEIGHT });
      expectNear(pixelAt(png, 2, 2), expected.rgb, 'pixel', 1);
    }
  });

  it('are made where libtiff only corrects the header: text without an end, tags out of order, no StripByteCounts', async () => {
    const plain = page('rgb', 0, 8);
    const software: Field = [305, 2, ...Buffer.from('Scanner')];
    const swapped = tiffOf(plain);
    const first = swapped.readUInt32LE(4) + 2;
    const [width, height] = [0, 12].map((at) => Buffer.from(swapped.subarray(first + at, first + at + 12)));
    swapped.set([...(height ?? []), ...(width ?? [])], first);
    const uncounted = tiffOf(plain);
    // The last field of nine: its tag becomes one that nobody knows.
    uncounted.writeUInt16LE(65_000, first + 8 * 12);
    for (const file of [tiffOf({ ...plain, fields: [software] }), swapped, uncounted]) {
      const png = await decode((await made(file)).get('png') ?? null);
      expectNear(pixelAt(png, 2, 2), expected.rgb, 'pixel', 1);
    }
  });

  it('fail with IMAGE_CORRUPT where pixels are missing, in strips and in tiles', async () => {
    const noise = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, index) => (index * index * 31) >> 3));
    const picture = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    const damaged = [tiffOf(page('rgb', 0, 8)).subarray(0, -40)];
    for (const compression of ['lzw', 'deflate', 'jpeg'] as const) {
      for (const tile of [false, true]) {
        const options = { compression, tile, tileWidth: 32, tileHeight: 32 };
        const file = await picture.clone().tiff(options).toBuffer();
        // sharp writes the directory at the end.
        damaged.push(file.fill(0xff, Math.floor(file.length / 3), Math.floor(file.length / 2)));
      }
    }
    for (const file of damaged) {
      const job = { body: own(file), image: await probeBytes(file), outputs: OUTPUTS, deadlineMs: 30_000, model: null };
      const { outcome } = await performJob(job, LIMITS, OPERATIONS);
      expect(outcome.kind === 'failed' ? outcome.error.code : outcome.kind).to.equal('IMAGE_CORRUPT');
    }
  });
});
