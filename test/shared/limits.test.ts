import { expect } from 'chai';
import { DarkroomError } from '../../shared/errors.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import { checkInputLimits, checkOutputLimits, countPixels, decodedBytes } from '../../shared/limits.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';

const LIMITS = { maxSide: 4000, maxPixels: 1_000_000, maxDecodedMb: 3, maxFrames: 1000, maxAnimationSeconds: 10 };
const MEBIBYTE = 1024 * 1024;

/** The header of an 8-bit RGB picture; `changes` replaces fields. */
function headerOf(changes: Partial<ImageHeader>): ImageHeader {
  return {
    format: 'jpeg',
    width: 100,
    height: 100,
    frames: 1,
    channels: 3,
    depth: 8,
    alpha: false,
    progressive: false,
    orientation: 1,
    ...changes,
  };
}

/** The message of the IMAGE_TOO_LARGE that the check must throw. */
function refusal(check: () => void): string {
  try {
    check();
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'IMAGE_TOO_LARGE') return error.message;
    throw error;
  }
  throw new Error('Expected IMAGE_TOO_LARGE, received no error');
}

describe('limits', () => {
  it('refuse HEIC where it is turned off, and say what to send', () => {
    const heic = headerOf({ format: 'heic' });
    checkInputLimits(heic, LIMITS);
    checkInputLimits(heic, { ...LIMITS, heic: true });
    expect(() => checkInputLimits(heic, { ...LIMITS, heic: false }))
      .to.throw(DarkroomError, /--no-heic\); send JPEG, PNG/)
      .with.property('code', 'UNSUPPORTED_IMAGE');
    checkInputLimits(headerOf({ format: 'avif' }), { ...LIMITS, heic: false });
  });

  it('count the pixels that are decoded where a crop hides some', () => {
    expect(refusal(() => checkInputLimits(headerOf({ codedPixels: 1_000_001 }), LIMITS))).to.equal(
      'Expected at most 1000000 pixels for the uncropped picture, received 1000001',
    );
    const deep = headerOf({ codedPixels: 900_000, depth: 16 });
    expect(refusal(() => checkInputLimits(deep, LIMITS))).to.match(/bytes when decoded .* 5400000$/);
  });

  it('count pixels over all frames', () => {
    expect(countPixels({ width: 30, height: 20, frames: 10 })).to.equal(6000);
  });

  it('count decoded bytes over all frames, channels and depth', () => {
    expect(decodedBytes(headerOf({ width: 30, height: 20, frames: 2, channels: 4, depth: 16 }))).to.equal(9600);
    expect(decodedBytes(headerOf({ width: 30, height: 20, channels: 1, depth: 8 }))).to.equal(600);
  });

  describe('of an input', () => {
    it('allow the longest side but no longer one, for width and height', () => {
      checkInputLimits(headerOf({ width: 4000, height: 1 }), LIMITS);
      checkInputLimits(headerOf({ width: 1, height: 4000 }), LIMITS);
      for (const changes of [{ width: 4001 }, { height: 4001 }]) {
        const message = refusal(() => checkInputLimits(headerOf({ width: 1, height: 1, ...changes }), LIMITS));
        expect(message).to.match(/^Expected at most 4000 pixels a side for the picture, received (4001×1|1×4001)$/);
      }
    });

    it('allow the most pixels but not one row more', () => {
      checkInputLimits(headerOf({ width: 1000, height: 1000 }), LIMITS);
      expect(refusal(() => checkInputLimits(headerOf({ width: 1000, height: 1001 }), LIMITS))).to.equal(
        'Expected at most 1000000 pixels for the picture, received 1000×1001 = 1001000',
      );
    });

    it('count the pixels of every frame', () => {
      checkInputLimits(headerOf({ frames: 100 }), LIMITS);
      expect(refusal(() => checkInputLimits(headerOf({ frames: 101 }), LIMITS))).to.equal(
        'Expected at most 1000000 pixels for the picture, received 101 frames of 100×100 = 1010000',
      );
    });

    it('allow the most decoded bytes but not one pixel more', () => {
      const deep = { channels: 4, depth: 16 } as const;
      checkInputLimits(headerOf({ width: 3 * 128, height: 1024, ...deep }), LIMITS);
      expect(refusal(() => checkInputLimits(headerOf({ width: 3 * 128 + 1, height: 1024, ...deep }), LIMITS))).to.equal(
        `Expected at most ${3 * MEBIBYTE} bytes when decoded for the picture, received ${3 * MEBIBYTE + 8192}`,
      );
    });

    it('refuse the 41-byte PNG that claims 786464×32 pixels of 16-bit RGBA', () => {
      const bomb = headerOf({ format: 'png', width: 786_464, height: 32, channels: 4, depth: 16 });
      const defaults = {
        maxSide: 16_384,
        maxPixels: 100_000_000,
        maxDecodedMb: 400,
        maxFrames: 1000,
        maxAnimationSeconds: 10,
      };
      expect(refusal(() => checkInputLimits(bomb, defaults))).to.contain('786464×32');
    });
  });

  describe('of outputs', () => {
    const checkOutput = (header: ImageHeader, ...specs: OutputSpec[]) => checkOutputLimits(header, specs, LIMITS);

    it('allow outputs within the limits', () => {
      checkOutput(
        headerOf({ width: 400, height: 400 }),
        { name: 'resize', operation: 'resize', scale_factor: 1 },
        { name: 'circle', operation: 'circle', size: 700 },
        { name: 'classify', operation: 'classify', top_k: 5 },
      );
    });

    it('refuse a side that is too long', () => {
      const message = refusal(() =>
        checkOutput(headerOf({}), { name: 'resize', operation: 'resize', width: 4001, height: 1, fit: 'fill' }),
      );
      expect(message).to.equal('Expected at most 4000 pixels a side for the resize output, received 4001×1');
    });

    it('refuse too many pixels, over all frames', () => {
      const resize = { name: 'resize', operation: 'resize', scale_factor: 2 } as const;
      checkOutput(headerOf({ format: 'gif', frames: 15 }), resize);
      const message = refusal(() => checkOutput(headerOf({ format: 'gif', frames: 26 }), resize));
      expect(message).to.equal(
        'Expected at most 1000000 pixels for the resize output, received 26 frames of 200×200 = 1040000',
      );
    });

    it('refuse too many decoded bytes, with four bytes for each pixel', () => {
      const most = Math.floor(Math.sqrt((3 * MEBIBYTE) / 4));
      checkOutput(headerOf({}), { name: 'circle', operation: 'circle', size: most });
      const message = refusal(() => checkOutput(headerOf({}), { name: 'circle', operation: 'circle', size: most + 1 }));
      expect(message).to.equal(
        `Expected at most ${3 * MEBIBYTE} bytes for the circle output, received ${4 * (most + 1) ** 2}`,
      );
    });

    it('refuse too many pixels of all outputs together, and name the output that exceeds the limit', () => {
      const circle = (name: string, size: number) => ({ name, operation: 'circle', size }) as const;
      const labels = { name: 'labels', operation: 'classify', top_k: 5 } as const;
      const limits = { ...LIMITS, maxDecodedMb: 400 };
      checkOutputLimits(headerOf({}), [circle('a', 600), labels, circle('b', 800)], limits);
      const message = refusal(() =>
        checkOutputLimits(headerOf({}), [circle('a', 600), labels, circle('b', 800), circle('c', 1)], limits),
      );
      expect(message).to.equal('Expected at most 1000000 pixels for the outputs up to c together, received 1000001');
    });

    it('refuse too many bytes of all outputs together, over all frames', () => {
      const limits = { ...LIMITS, maxPixels: 100_000_000 };
      const half = { operation: 'resize', scale_factor: 0.5 } as const;
      const gif = headerOf({ format: 'gif', width: 400, height: 400, frames: 9 });
      checkOutputLimits(
        gif,
        [
          { name: 'a', ...half },
          { name: 'b', ...half },
        ],
        limits,
      );
      const three = ['a', 'b', 'c'].map((name) => ({ name, ...half }));
      expect(refusal(() => checkOutputLimits(gif, three, limits))).to.equal(
        `Expected at most ${3 * MEBIBYTE} bytes for the outputs up to c together, received ${3 * 9 * 200 * 200 * 4}`,
      );
    });

    describe('that are animations', () => {
      const limits = { ...LIMITS, maxPixels: 100_000_000, maxDecodedMb: 400 };
      const gif = (frames: number, side = 10) => headerOf({ format: 'gif', width: side, height: side, frames });
      const full = (name: string, format: 'gif' | 'webp' | 'png' = 'gif', lossless = false) =>
        ({ name, operation: 'resize', scale_factor: 1, format, lossless }) as const;

      it('allow the most frames over all of them, and no frame more', () => {
        checkOutputLimits(gif(1000), [full('a')], limits);
        checkOutputLimits(gif(500), [full('a'), full('b', 'webp')], limits);
        expect(refusal(() => checkOutputLimits(gif(1001), [full('a')], limits))).to.equal(
          'Expected at most 1000 frames for the outputs up to a together, received 1001',
        );
        expect(refusal(() => checkOutputLimits(gif(501), [full('a'), full('b', 'webp')], limits))).to.equal(
          'Expected at most 1000 frames for the outputs up to b together, received 1002',
        );
      });

      it('do not count frames of the input that no output has', () => {
        checkOutputLimits(gif(5000), [full('still', 'png')], limits);
      });

      it('allow ordinary animations', () => {
        const half = { name: 'half', operation: 'resize', scale_factor: 0.5 } as const;
        const ordinary = (width: number, height: number, frames: number) => ({ ...gif(frames), width, height });
        checkOutputLimits(ordinary(500, 281, 100), [full('a')], limits);
        checkOutputLimits(ordinary(500, 281, 200), [half], limits);
        checkOutputLimits(ordinary(480, 360, 300), [half], limits);
      });

      it('stop what takes too long, by format, size and frames', () => {
        checkOutputLimits(gif(100, 400), [full('a')], limits);
        checkOutputLimits(gif(100, 400), [full('a', 'webp')], limits);
        for (const [frames, output] of [
          [300, full('a')],
          [300, full('a', 'webp')],
          [60, full('a', 'webp', true)],
          [60, { ...full('a'), blur: 100 }],
        ] as const) {
          expect(refusal(() => checkOutputLimits(gif(frames, 400), [output], limits))).to.match(
            new RegExp(
              '^Expected animations that take about 10 s at most for the outputs up to a together, ' +
                `received ${frames} frames of 400×400, so about \\d+ s$`,
            ),
          );
        }
      });
    });

    it('check every output, not only the first', () => {
      const small = { name: 'resize', operation: 'resize', scale_factor: 1 } as const;
      expect(
        refusal(() => checkOutput(headerOf({}), small, { name: 'circle', operation: 'circle', size: 4001 })),
      ).to.contain('circle');
    });
  });
});
