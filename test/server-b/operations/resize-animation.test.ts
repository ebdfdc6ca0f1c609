import { expect } from 'chai';
import sharp from 'sharp';
import type { Raster } from '../../../server-b/operations/raster.ts';
import type { ResizeParameters } from '../../../shared/operations/resize.ts';
import { pixelAt, plain } from '../../support/pictures.ts';
import { animation, expectNear, framesOf, join, resized } from '../../support/resized.ts';

const FORMATS = ['gif', 'webp'] as const;
const FRAME_COLORS = [
  [255, 0, 0, 255],
  [0, 255, 0, 255],
  [0, 0, 255, 255],
] as const;
/** A GIF has a palette and WebP is lossy, so colours are only similar. */
const TOLERANCE = 12;

/** Asserts that every frame has only its own colour, up to its edges, and that delays and loop are unchanged. */
async function expectUnmixed(body: Uint8Array, parameters: ResizeParameters, what: string): Promise<void> {
  const { picture, ...facts } = await resized(body, parameters);
  expect(facts, what).to.include({ frames: 3 });
  expect(await sharp(picture).metadata(), what).to.deep.include({ pages: 3, loop: 3, delay: [100, 150, 200] });
  const frames = await framesOf(picture);
  for (const [index, frame] of frames.entries()) {
    expect([frame.width, frame.height], what).to.deep.equal([facts.width, facts.height]);
    for (const [x, y] of [
      [0, 0],
      [frame.width - 1, 0],
      [0, frame.height - 1],
      [frame.width - 1, frame.height - 1],
    ] as const) {
      expectNear(pixelAt(frame, x, y), FRAME_COLORS[index] ?? [], `${what}, frame ${index} at ${x}, ${y}`, TOLERANCE);
    }
  }
}

/** Frames of one colour each, with a white square in the given corner. */
async function marked(format: 'gif' | 'webp', corner: 'northwest' | 'southeast', width = 40, height = 30) {
  const input = await plain(10, 10, '#ffffff');
  const frames = ['#ff0000', '#00ff00', '#0000ff'].map(async (color) =>
    sharp(await plain(width, height, color))
      .composite([{ input, gravity: corner }])
      .removeAlpha()
      .png()
      .toBuffer(),
  );
  return join(format, await Promise.all(frames));
}

/** The value of a colour without its hue. */
async function greyOf([red = 0, green = 0, blue = 0]: readonly number[]): Promise<number> {
  const pixel = sharp(Uint8Array.of(red, green, blue), { raw: { width: 1, height: 1, channels: 3 } });
  return (await pixel.grayscale().raw().toBuffer())[0] ?? Number.NaN;
}

/** Thin black lines on white, moved by `step` pixels. */
function lines(step: number): Promise<Buffer> {
  const [width, height] = [80, 60];
  const isBlack = (x: number, y: number) => (3 * x + y + 4 * step) % 17 < 2;
  const pixels = Uint8Array.from({ length: width * height }, (_, at) =>
    isBlack(at % width, Math.floor(at / width)) ? 0 : 255,
  );
  return sharp(pixels, { raw: { width, height, channels: 1 } })
    .toColourspace('srgb')
    .png({ palette: true, colours: 2, dither: 0 })
    .toBuffer();
}

/** Different colours of a picture. */
function colours({ pixels, channels }: Raster): number {
  const found = new Set<string>();
  for (let at = 0; at < pixels.length; at += channels) found.add(pixels.subarray(at, at + channels).join());
  return found.size;
}

describe('resize of an animation', () => {
  for (const format of FORMATS) {
    describe(`in ${format}`, () => {
      const cases: readonly ResizeParameters[] = [
        { scale_factor: 1 },
        { scale_factor: 0.5 },
        { scale_factor: 1.3 },
        { width: 13, height: 17, fit: 'fill' },
        { width: 20, height: 20, fit: 'cover' },
        { scale_factor: 0.7, rotate: 90 },
        { scale_factor: 1, rotate: 180, flop: true },
        { width: 20, height: 20, fit: 'cover', rotate: 270 },
        { width: 13, height: 9, fit: 'fill', flip: true },
        { scale_factor: 0.5, blur: 3 },
        { scale_factor: 0.5, sharpen: true },
        { width: 12, height: 12, fit: 'cover', gravity: 'attention' },
        { width: 12, height: 12, fit: 'cover', gravity: 'entropy', rotate: 90, blur: 2 },
        { width: 20, height: 20, fit: 'cover', gravity: 'southeast' },
      ];
      for (const parameters of cases) {
        it(`does not mix frames with ${JSON.stringify(parameters)}`, async () => {
          await expectUnmixed(await animation(format), parameters, format);
        });
      }

      it('mirrors and turns each frame, and keeps their order', async () => {
        const body = await marked(format, 'northwest');
        const turns: readonly (readonly [ResizeParameters, 'left' | 'right', 'top' | 'bottom'])[] = [
          [{}, 'left', 'top'],
          [{ flip: true }, 'left', 'bottom'],
          [{ flop: true }, 'right', 'top'],
          [{ rotate: 90 }, 'right', 'top'],
          [{ rotate: 180 }, 'right', 'bottom'],
          [{ rotate: 270 }, 'left', 'bottom'],
        ];
        for (const [turn, across, down] of turns) {
          const { picture } = await resized(body, { scale_factor: 1, ...turn });
          for (const [index, frame] of (await framesOf(picture)).entries()) {
            const [left, right] = [3, frame.width - 4];
            const [top, bottom] = [3, frame.height - 4];
            const what = `${JSON.stringify(turn)}, frame ${index}`;
            const mark = pixelAt(frame, across === 'left' ? left : right, down === 'top' ? top : bottom);
            expectNear(mark, [255, 255, 255, 255], what, TOLERANCE);
            const opposite = pixelAt(frame, across === 'left' ? right : left, down === 'top' ? bottom : top);
            expectNear(opposite, FRAME_COLORS[index] ?? [], what, TOLERANCE);
          }
        }
      });

      it('crops each frame at the place where attention crops the first one', async () => {
        const detail = await sharp({ create: { width: 10, height: 10, channels: 3, background: '#ff2200' } })
          .png()
          .toBuffer();
        const frames = [70, 5].map(async (left) =>
          sharp(await plain(90, 20, '#777777'))
            .composite([{ input: detail, left, top: 5 }])
            .removeAlpha()
            .png()
            .toBuffer(),
        );
        const body = await join(format, await Promise.all(frames));
        const box = { width: 20, height: 20, fit: 'cover', gravity: 'attention' } as const;
        const { picture } = await resized(body, box);
        const [first, second] = (await framesOf(picture)).map(
          ({ pixels }) => pixels.filter((value, offset) => offset % 4 === 0 && value > 200).length,
        );
        expect(first, 'red pixels of the first frame').to.be.above(60);
        expect(second, 'red pixels of the second frame, whose detail is elsewhere').to.equal(0);
      });

      it('pads each frame with the background', async () => {
        for (const rotate of [0, 90] as const) {
          const { picture } = await resized(await animation(format), {
            width: 30,
            height: 30,
            fit: 'contain',
            background: '#ffa500',
            rotate,
          });
          const frames = await framesOf(picture);
          expect(frames).to.have.length(3);
          for (const [index, frame] of frames.entries()) {
            const what = `rotate ${rotate}, frame ${index}`;
            const [x, y] = rotate === 0 ? [15, 1] : [1, 15];
            expectNear(pixelAt(frame, x, y), [255, 165, 0, 255], what, TOLERANCE);
            expectNear(pixelAt(frame, 29 - x, 29 - y), [255, 165, 0, 255], what, TOLERANCE);
            expectNear(pixelAt(frame, 15, 15), FRAME_COLORS[index] ?? [], what, TOLERANCE);
          }
        }
      });
    });
  }

  it('has the colours between black and white when line art is halved in gif, with one frame and several', async () => {
    const frames = [await lines(0), await lines(3)];
    for (const body of [await sharp(frames[0]).gif().toBuffer(), await join('gif', frames)]) {
      for (const frame of await framesOf(body)) expect(colours(frame)).to.equal(2);
      for (const frame of await framesOf((await resized(body, { scale_factor: 0.5 })).picture)) {
        expect(colours(frame)).above(10);
      }
    }
  });

  it('is grey in every frame with grayscale, and keeps its colours exactly when nothing changes', async () => {
    const changes = [{ scale_factor: 1 }, { scale_factor: 0.5 }, { width: 40, height: 40, fit: 'contain' }] as const;
    for (const format of FORMATS) {
      for (const change of changes) {
        const grey = await resized(await marked(format, 'southeast'), { ...change, grayscale: true });
        for (const [index, frame] of (await framesOf(grey.picture)).entries()) {
          const value = await greyOf(FRAME_COLORS[index] ?? []);
          const what = `${format}, frame ${index}, ${JSON.stringify(change)}`;
          expectNear(pixelAt(frame, 8, 8), [value, value, value, 255], what, TOLERANCE);
          if ('fit' in change) expect(pixelAt(frame, 8, 0)[3], what).to.equal(0);
        }
      }
    }
    const body = await join('gif', [await lines(0), await lines(3)]);
    expect(await framesOf((await resized(body, { scale_factor: 1 })).picture)).to.deep.equal(await framesOf(body));
  });

  it('keeps every pixel with lossless webp', async () => {
    const body = await marked('gif', 'southeast');
    const { picture } = await resized(body, { scale_factor: 1, format: 'webp', lossless: true });
    const [found, expected] = [await framesOf(picture), await framesOf(body)];
    expect(found.map(({ pixels }) => Buffer.from(pixels))).to.deep.equal(
      expected.map(({ pixels }) => Buffer.from(pixels)),
    );
  });
});
