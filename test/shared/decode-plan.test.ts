import { expect } from 'chai';
import fc from 'fast-check';
import { planDecode, shrinksOnLoad } from '../../shared/decode-plan.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import { FORMATS } from '../../shared/operations/format.ts';
import { type OutputSpec, planOf } from '../../shared/operations/index.ts';

const PHOTO: ImageHeader = {
  format: 'jpeg',
  width: 3001,
  height: 2001,
  frames: 1,
  channels: 3,
  depth: 8,
  alpha: false,
  progressive: false,
  orientation: 1,
};
const PNG: ImageHeader = { ...PHOTO, format: 'png' };
const circle: OutputSpec = { name: 'circle', operation: 'circle', size: 1500 };
const classify: OutputSpec = { name: 'classify', operation: 'classify', top_k: 5 };
const placeholder: OutputSpec = { name: 'placeholder', operation: 'placeholder' };

function scaled(scale_factor: number): OutputSpec {
  return { name: `by-${scale_factor}`, operation: 'resize', scale_factor };
}

/** The shared decode in a comparable form: its size, and the outputs that use it. */
function planned(header: ImageHeader, ...specs: OutputSpec[]) {
  const shared = planDecode(
    header,
    specs.map((spec) => planOf(header, spec)),
  );
  return shared === null ? null : { ...shared.size, users: [...shared.users].sort() };
}

describe('planDecode', () => {
  it('shares nothing for one output', () => {
    for (const spec of [scaled(0.5), circle, classify, placeholder]) {
      for (const format of FORMATS) expect(planned({ ...PHOTO, format }, spec)).to.equal(null);
    }
  });

  it('makes data from the pixels of the only picture in the task', () => {
    const half = { width: 1501, height: 1001 };
    for (const format of FORMATS) {
      const header = { ...PHOTO, format };
      expect(planned(header, scaled(0.5), classify), format).to.deep.equal({ ...half, users: [0, 1] });
      expect(planned(header, classify, placeholder, scaled(0.5)), format).to.deep.equal({ ...half, users: [0, 1, 2] });
    }
  });

  it('makes data from the smallest picture that is large enough, 240 pixels for 256', () => {
    const specs = [scaled(0.3), scaled(0.2), scaled(0.1)];
    expect(planned(PHOTO, ...specs, classify)).to.deep.equal({ width: 600, height: 400, users: [1, 3] });
    expect(planned(PHOTO, scaled(240 / 2001), classify)).to.deep.equal({ width: 360, height: 240, users: [0, 1] });
    expect(planned(PHOTO, scaled(239 / 2001), classify)).to.equal(null);
  });

  it('does not make data from a picture that is cropped, padded, turned, toned, filtered or enlarged', () => {
    const box = { width: 1000, height: 1000 };
    for (const changes of [
      { ...box, fit: 'cover' },
      { ...box, fit: 'contain' },
      { scale_factor: 0.3, rotate: 90 },
      { scale_factor: 0.3, flop: true },
      { scale_factor: 0.3, grayscale: true },
      { scale_factor: 0.3, blur: 2 },
      { scale_factor: 0.3, sharpen: true },
      { scale_factor: 2 },
    ] as const) {
      const spec: OutputSpec = { name: 'resize', operation: 'resize', ...changes };
      expect(planned(PHOTO, spec, classify), JSON.stringify(changes)).to.equal(null);
    }
  });

  it('decodes once for all data if no picture can be used', () => {
    expect(planned(PHOTO, classify, placeholder)).to.deep.equal({ width: 384, height: 256, users: [0, 1] });
    expect(planned(PHOTO, scaled(0.05), classify, placeholder)).to.deep.include({ users: [1, 2] });
  });

  it('decodes at full size once for two pictures that the decoder does not shrink', () => {
    const whole = { width: 3001, height: 2001 };
    expect(planned(PNG, scaled(0.1), circle)).to.deep.equal({ ...whole, users: [0, 1] });
    expect(planned(PNG, scaled(2), classify, circle)).to.deep.equal({ ...whole, users: [0, 1, 2] });
    expect(planned(PHOTO, scaled(0.5), scaled(0.9))).to.deep.equal({ ...whole, users: [0, 1] });
    expect(planned({ ...PHOTO, format: 'webp' }, scaled(1), scaled(2))).to.deep.equal({ ...whole, users: [0, 1] });
  });

  it('lets each output decode for itself, up to a third of the size of a JPEG and below the size of a WebP', () => {
    expect(planned(PHOTO, scaled(1 / 3), scaled(0.1))).to.equal(null);
    expect(planned(PHOTO, scaled(0.5), scaled(0.3))).to.equal(null);
    expect(planned(PHOTO, scaled(0.9), scaled(0.3), scaled(0.5))).to.deep.include({ users: [0, 2] });
    const webp = { ...PHOTO, format: 'webp' } as const;
    expect(planned(webp, scaled(0.5), scaled(0.9))).to.equal(null);
    expect(planned(webp, scaled(0.5), scaled(1), scaled(2))).to.deep.include({ users: [1, 2] });
  });

  it('does not share a decode with an animated output', () => {
    const gif = { ...PHOTO, format: 'gif', frames: 5 } as const;
    const still: OutputSpec = { name: 'still', operation: 'resize', scale_factor: 0.5, format: 'png' };
    expect(planned(gif, scaled(0.5), circle, still)).to.deep.include({ users: [1, 2] });
    expect(planned(gif, scaled(0.5), scaled(0.3))).to.equal(null);
  });

  it('shares a full-size decode up to 33 megapixels', () => {
    const largest = { ...PNG, width: 6000, height: 5500 };
    expect(planned(largest, scaled(0.5), circle)).to.deep.equal({ width: 6000, height: 5500, users: [0, 1] });
    expect(planned({ ...largest, height: 5501 }, scaled(0.5), circle)).to.equal(null);
    expect(planned({ ...largest, height: 5501 }, scaled(0.5), circle, classify)).to.deep.equal({
      width: 3000,
      height: 2751,
      users: [0, 2],
    });
  });

  it('never changes how a picture is made because of data', () => {
    const header = fc.record({
      format: fc.constantFrom(...FORMATS),
      width: fc.integer({ min: 1, max: 8000 }),
      height: fc.integer({ min: 1, max: 8000 }),
      depth: fc.constantFrom(8, 16),
      orientation: fc.constantFrom(1, 6),
    });
    const resized = fc.double({ min: 0.01, max: 2, noNaN: true }).map(scaled);
    const cut = fc.integer({ min: 1, max: 2000 }).map((size): OutputSpec => ({ ...circle, size }));
    const pictures = fc.array(fc.oneof(resized, cut), { maxLength: 4 });
    const data = fc.subarray([classify, placeholder], { minLength: 1 });
    fc.assert(
      fc.property(header, pictures, data, (changes, drawing, more) => {
        const image: ImageHeader = { ...PHOTO, ...changes };
        const without = planned(image, ...drawing);
        const together = planned(image, ...drawing, ...more);
        for (const [index, spec] of drawing.entries()) {
          const before = sourceOf(index, without);
          const after = sourceOf(index, together);
          if (after === before) continue;
          // Either its own pixels at its own size, or the pixels that it would have decoded itself.
          const { whole } = planOf(image, spec);
          const isOwn = whole !== null && after === `${whole.width}×${whole.height}`;
          const isExact = ['png', 'gif', 'tiff', 'avif'].includes(image.format) && image.depth === 8;
          expect(before).to.equal('the file');
          expect(isOwn || (isExact && image.orientation === 1), `${after} for ${JSON.stringify(spec)}`).to.equal(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('shrinksOnLoad', () => {
  it('is true for a JPEG up to a third of its size, and for a WebP below its size', () => {
    const scales = [0.1, 1 / 3, 0.34, 0.99, 1, 2];
    const shrunk = (format: (typeof FORMATS)[number]) => scales.filter((scale) => shrinksOnLoad(format, scale));
    expect(shrunk('jpeg')).to.deep.equal([0.1, 1 / 3]);
    expect(shrunk('webp')).to.deep.equal([0.1, 1 / 3, 0.34, 0.99]);
    for (const format of ['png', 'avif', 'gif', 'tiff'] as const) expect(shrunk(format)).to.deep.equal([]);
  });
});

/** The pixels that an output is made from. */
function sourceOf(index: number, plan: ReturnType<typeof planned>): string {
  return plan?.users.includes(index) === true ? `${plan.width}×${plan.height}` : 'the file';
}
