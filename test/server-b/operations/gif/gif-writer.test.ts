import { expect } from 'chai';
import sharp from 'sharp';
import { Deadline } from '../../../../server-b/operations/deadline.ts';
import { type GifTiming, GifWriter } from '../../../../server-b/operations/gif/gif-writer.ts';
import { expectCode } from '../../../support/expect-code.ts';
import { peakSignalToNoise } from '../../../support/quality.ts';
import { framesOf } from '../../../support/resized.ts';

const SIDE = 60;
/** A colour, with alpha, for each pixel of a frame. */
type Paint = (x: number, y: number) => readonly [number, number, number, number];

function painted(paint: Paint, width = SIDE, height = SIDE): Uint8Array {
  return Uint8Array.from({ length: width * height }, (_, at) => at).reduce(
    (pixels, _, at) => {
      pixels.set(paint(at % width, Math.floor(at / width)), 4 * at);
      return pixels;
    },
    new Uint8Array(4 * width * height),
  );
}

/** Numbers below `end` that look random and are the same in every run. */
function numbers(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % end;
  };
}

async function write(frames: readonly Uint8Array[], timing: Partial<GifTiming> = {}, width = SIDE, height = SIDE) {
  const writer = new GifWriter({ width, height }, { delays: undefined, loop: 0, ...timing }, new Deadline(60_000));
  for (const pixels of frames) await writer.add({ pixels, width, height, channels: 4 });
  return writer.finish();
}

/** Asserts that a GIF has exactly these frames. */
async function expectExactly(gif: Uint8Array, frames: readonly Uint8Array[]): Promise<void> {
  const found = await framesOf(gif);
  expect(found.length).to.equal(frames.length);
  for (const [index, { pixels }] of found.entries()) {
    expect(Buffer.compare(pixels, frames[index] ?? Buffer.alloc(0)), `frame ${index}`).to.equal(0);
  }
}

/** The worst frame of a GIF, in decibels. */
async function worst(gif: Uint8Array, frames: readonly Uint8Array[], width = SIDE, height = SIDE): Promise<number> {
  const found = await framesOf(gif);
  return Math.min(
    ...found.map((frame, index) =>
      peakSignalToNoise(frame, { pixels: frames[index] ?? frame.pixels, width, height, channels: 4 }),
    ),
  );
}

/** How many frames have a table of colours of their own. */
function localTables(gif: Uint8Array): number {
  let count = 0;
  let at = 13 + 3 * (2 << ((gif[10] ?? 0) & 7));
  while (gif[at] !== 0x3b) {
    if (gif[at] === 0x2c) {
      const packed = gif[at + 9] ?? 0;
      if (packed & 0x80) count += 1;
      at += 11 + (packed & 0x80 ? 3 * (2 << (packed & 7)) : 0);
    } else {
      at += 2;
    }
    while ((gif[at] ?? 0) > 0) at += 1 + (gif[at] ?? 0);
    at += 1;
  }
  return count;
}

describe('GifWriter', () => {
  it('keeps every colour of frames that have up to 255 of them, also beyond the 4096 codes of LZW', async () => {
    for (const colours of [1, 2, 3, 4, 16, 17, 128, 254, 255]) {
      const random = numbers(colours);
      const frames = Array.from({ length: 3 }, (_, frame) =>
        painted(() => {
          const colour = random(colours);
          return [colour, (7 * colour + 50 * frame) % 256, 255 - colour, 255];
        }),
      );
      const { picture } = await write(frames);
      await expectExactly(picture, frames);
    }
  });

  it('keeps pixels that do not change, and draws only the area of those that do', async () => {
    const random = numbers(1);
    const first = painted(() => [random(200), 0, 0, 255]);
    const frames = [first, 10, 40].map((left) => {
      if (typeof left !== 'number') return left;
      const frame = Uint8Array.from(first);
      for (let y = 20; y < 25; y += 1) frame.fill(255, 4 * (y * SIDE + left), 4 * (y * SIDE + left + 8));
      return frame;
    });
    const { picture } = await write(frames);
    await expectExactly(picture, frames);
    const alone = await write(frames.slice(0, 1));
    expect(picture.length - alone.picture.length, 'bytes of the two later frames').below(alone.picture.length / 4);
  });

  it('removes pixels that become transparent, and counts half transparent ones as opaque', async () => {
    const disc = (centre: number, alpha: number) =>
      painted((x, y) => (Math.hypot(x - centre, y - 30) < 12 ? [200, 10, 10, alpha] : [0, 0, 0, 0]));
    const frames = [disc(15, 255), disc(30, 255), disc(45, 128), disc(45, 127), disc(10, 255)];
    const { picture } = await write(frames);
    const expected = [disc(15, 255), disc(30, 255), disc(45, 255), painted(() => [0, 0, 0, 0]), disc(10, 255)];
    await expectExactly(picture, expected);
  });

  it('joins equal frames that follow each other, and adds their delays', async () => {
    const [red, blue] = [painted(() => [255, 0, 0, 255]), painted(() => [0, 0, 255, 255])];
    const { picture, frames } = await write([red, red, blue, blue, red], { delays: [100, 50, 70, 30, 200] });
    expect(frames).to.equal(3);
    expect((await sharp(picture).metadata()).delay).to.deep.equal([150, 100, 200]);
  });

  it('says how many times it plays', async () => {
    const frames = [painted(() => [255, 0, 0, 255]), painted(() => [0, 0, 255, 255])];
    for (const loop of [0, 1, 2, 7]) {
      expect((await sharp((await write(frames, { loop })).picture).metadata()).loop).to.equal(loop);
    }
  });

  it('has one palette for frames with the same colours in other places', async () => {
    const frames = Array.from({ length: 6 }, (_, step) =>
      painted((x, y) => [((x + 3 * step) % SIDE) * 4, y * 4, 128, 255]),
    );
    const { picture } = await write(frames);
    expect(localTables(picture)).to.equal(0);
    expect(await worst(picture, frames)).above(30);
  });

  it('has another palette for a frame with other colours', async () => {
    const frames = [0, 1, 2].map((channel) =>
      painted((x, y) => {
        const pixel: [number, number, number, number] = [x, y, x + y, 255];
        pixel[channel] = 128 + x + y;
        return pixel;
      }),
    );
    const { picture } = await write(frames);
    expect(localTables(picture)).to.equal(2);
    expect(await worst(picture, frames)).above(35);
  });

  it('shows noise of another kind in each frame, whose colours take too long to search', async () => {
    const random = numbers(5);
    const frames = Array.from({ length: 30 }, (_, step) => {
      const width = 60 + (step % 7) * 30;
      return painted(() => [random(width), 255 - random(width), random(256), 255]);
    });
    const { picture } = await write(frames);
    expect(await worst(picture, frames)).above(24);
  });

  it('is about as near to the frames as what libvips writes', async () => {
    const frames = [0, 30].map((shift) =>
      painted((x, y) => [
        Math.round(127 + 120 * Math.sin((x + shift) / 9)),
        4 * y,
        Math.round(127 + 80 * Math.cos((x * y + shift) / 300)),
        255,
      ]),
    );
    const { picture } = await write(frames);
    const pages = frames.map((pixels) => ({ pixels, raw: { width: SIDE, height: SIDE, channels: 4 as const } }));
    const encoded = await Promise.all(pages.map(({ pixels, raw }) => sharp(pixels, { raw }).png().toBuffer()));
    const theirs = await sharp(encoded, { join: { animated: true } })
      .gif({ effort: 1 })
      .toBuffer();
    expect(await worst(picture, frames)).above((await worst(theirs, frames)) - 2.5);
  });

  it('ends at the deadline', async () => {
    const writer = new GifWriter({ width: SIDE, height: SIDE }, { delays: undefined, loop: 0 }, new Deadline(0));
    const pixels = painted(() => [0, 0, 0, 255]);
    await expectCode('TIMEOUT', writer.add({ pixels, width: SIDE, height: SIDE, channels: 4 }));
  });
});
