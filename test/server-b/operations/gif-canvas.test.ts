import { expect } from 'chai';
import sharp from 'sharp';
import { probe } from '../../../server-a/probe/probe.ts';
import { Deadline } from '../../../server-b/operations/deadline.ts';
import { addBlankFrame } from '../../../server-b/operations/gif-canvas.ts';
import { Picture } from '../../../server-b/operations/picture.ts';
import { type Raster, rasterize } from '../../../server-b/operations/raster.ts';
import { resize } from '../../../server-b/operations/resize.ts';
import { Memory } from '../../server-a/probe/agreement.ts';
import { bytes, little } from '../../support/hand-made.ts';
import { decode, drawn, LIMITS, own, pixelAt } from '../../support/pictures.ts';

const RED = [255, 0, 0];
const BLUE = [0, 0, 255];
const CLEAR = [0, 0, 0, 0];

interface Square {
  readonly left: number;
  readonly top: number;
  readonly side: number;
  /** 0 is red, 1 is blue. */
  readonly colour: 0 | 1;
  /** GIF89a's disposal method. */
  readonly disposal?: number;
}

/** A GIF with a red and a blue colour, none of them transparent, of squares of one colour. */
function gifOf(width: number, height: number, squares: readonly Square[]): Uint8Array<ArrayBuffer> {
  const start = bytes('GIF89a', little(width, 2), little(height, 2), 0x80, 0, 0, ...RED, ...BLUE);
  const frames = squares.map(({ left, top, side, colour, disposal = 0 }) => {
    const control = bytes(0x21, 0xf9, 4, disposal << 2, 10, 0, 0, 0);
    const place = bytes(0x2c, little(left, 2), little(top, 2), little(side, 2), little(side, 2), 0);
    // One code for each pixel, and a clear code before each of them, so that codes stay three bits wide.
    const codes = Array.from({ length: side * side }, () => [4, colour]).flat();
    const packed = packThreeBits([...codes, 5]);
    return bytes(control, place, 2, ...subBlocks(packed));
  });
  return own(bytes(start, ...frames, 0x3b));
}

function packThreeBits(codes: readonly number[]): Uint8Array {
  const packed = new Uint8Array(Math.ceil((codes.length * 3) / 8));
  for (const [index, code] of codes.entries()) {
    for (let bit = 0; bit < 3; bit += 1) {
      const at = index * 3 + bit;
      const byte = packed[at >> 3] ?? 0;
      packed[at >> 3] = byte | (((code >> bit) & 1) << (at & 7));
    }
  }
  return packed;
}

function subBlocks(data: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += 255) {
    const block = data.subarray(at, at + 255);
    blocks.push(bytes(block.length, block));
  }
  return [...blocks, bytes(0)];
}

/** The picture as Server B opens it, with the header that Server A read. */
async function open(gif: Uint8Array<ArrayBuffer>): Promise<Picture> {
  return Picture.open(gif, await probe(new Memory(gif)), LIMITS, new Deadline(30_000));
}

async function firstFrame(gif: Uint8Array<ArrayBuffer>): Promise<Raster> {
  return rasterize(await (await open(gif)).first(1));
}

/** Each frame of the picture made at its own size as WebP without loss. */
async function allFrames(gif: Uint8Array<ArrayBuffer>): Promise<Raster[]> {
  const parameters = { name: 'o', operation: 'resize', scale_factor: 1, format: 'webp', lossless: true } as const;
  const made = drawn(await resize(await open(gif), parameters));
  const pages = Array.from({ length: made.frames }, (_, page) => page);
  return Promise.all(pages.map((page) => rasterize(sharp(made.picture, { page }).ensureAlpha())));
}

describe('canvas of a GIF', () => {
  for (const [width, height] of [
    [640, 480],
    [640, 512],
    [800, 600],
    [1024, 768],
    [1280, 1024],
    [1600, 1200],
    [2049, 30],
    [30, 4000],
  ] as const) {
    it(`keeps ${width}×${height}, with all frames in their places`, async () => {
      const gif = gifOf(width, height, [
        { left: 10, top: 20, side: 6, colour: 0 },
        { left: width - 8, top: height - 8, side: 8, colour: 1 },
      ]);
      const [one, two] = await allFrames(gif);
      if (one === undefined || two === undefined) throw new Error('Expected two frames');
      expect(one).to.include({ width, height, channels: 4 });
      expect(pixelAt(one, 12, 22)).to.deep.equal([...RED, 255]);
      expect(pixelAt(one, 0, 0)).to.deep.equal(CLEAR);
      expect(pixelAt(one, width - 1, height - 1)).to.deep.equal(CLEAR);
      expect(pixelAt(two, 12, 22)).to.deep.equal([...RED, 255]);
      expect(pixelAt(two, width - 1, height - 1)).to.deep.equal([...BLUE, 255]);
    });
  }

  it('is transparent where no frame draws, without a transparent colour in the file', async () => {
    const raster = await firstFrame(gifOf(40, 30, [{ left: 5, top: 5, side: 10, colour: 0 }]));
    expect(raster).to.include({ width: 40, height: 30, channels: 4 });
    expect(pixelAt(raster, 0, 0)).to.deep.equal(CLEAR);
    expect(pixelAt(raster, 5, 5)).to.deep.equal([...RED, 255]);
    expect(pixelAt(raster, 15, 15)).to.deep.equal(CLEAR);
  });

  it('is transparent where a frame is removed after its time', async () => {
    const squares = [
      { left: 0, top: 0, side: 20, colour: 0, disposal: 2 },
      { left: 0, top: 0, side: 5, colour: 1 },
    ] as const;
    const [one, two] = await allFrames(gifOf(20, 20, squares));
    if (one === undefined || two === undefined) throw new Error('Expected two frames');
    expect(pixelAt(one, 10, 10)).to.deep.equal([...RED, 255]);
    expect(pixelAt(two, 10, 10)).to.deep.equal(CLEAR);
    expect(pixelAt(two, 2, 2)).to.deep.equal([...BLUE, 255]);
  });

  it('is enlarged by the first frame', async () => {
    const raster = await firstFrame(gifOf(10, 10, [{ left: 0, top: 0, side: 30, colour: 1 }]));
    expect(raster).to.include({ width: 30, height: 30, channels: 3 });
  });

  it('keeps delays, frames and the picture of a circle, a placeholder or JPEG', async () => {
    const gif = gifOf(800, 600, [
      { left: 0, top: 0, side: 6, colour: 0 },
      { left: 790, top: 590, side: 6, colour: 1 },
    ]);
    const made = drawn(await resize(await open(gif), { name: 'o', operation: 'resize', scale_factor: 0.5 }));
    expect(made).to.include({ format: 'gif', width: 400, height: 300, frames: 2 });
    expect((await sharp(made.picture, { animated: true }).metadata()).delay).to.deep.equal([100, 100]);
    const jpeg = { name: 'o', operation: 'resize', width: 400, format: 'jpeg' } as const;
    const flat = await decode(drawn(await resize(await open(gif), jpeg)).picture);
    expect(flat).to.include({ width: 400, height: 300 });
    expect(pixelAt(flat, 200, 150).every((value) => value > 250)).to.equal(true);
  });

  it('can be blank at every size', async () => {
    const gif = gifOf(4, 4, [{ left: 0, top: 0, side: 4, colour: 0 }]);
    for (const [width, height] of [
      [1, 1],
      [2, 1],
      [3, 1],
      [7, 5],
      [333, 777],
      [65_535, 3],
      [2100, 2100],
    ] as const) {
      const blank = sharp(addBlankFrame(gif, { width, height }), { page: 0, failOn: 'warning' });
      const { data, info } = await blank.ensureAlpha().raw().toBuffer({ resolveWithObject: true });
      expect(info).to.include({ width, height });
      expect(
        data.every((value) => value === 0),
        `${width}×${height}`,
      ).to.equal(true);
    }
  });
});
