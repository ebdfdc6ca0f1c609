import { expect } from 'chai';
import type { ImageHeader } from '../../../shared/image-header.ts';
import { MAX_SIDE } from '../../../shared/operations/bounds.ts';
import { type OutputSpec, outputSpecSchema, planOf } from '../../../shared/operations/index.ts';

describe('output specs', () => {
  const accepted: OutputSpec[] = [
    { name: 'resize', operation: 'resize', scale_factor: 10 },
    {
      name: 'resize',
      operation: 'resize',
      width: MAX_SIDE,
      height: 1,
      fit: 'cover',
      format: 'avif',
      quality: 100,
      grayscale: true,
    },
    { name: 'circle', operation: 'circle', size: 1 },
    { name: 'classify', operation: 'classify', top_k: 100 },
  ];
  for (const spec of accepted) {
    it(`accept ${JSON.stringify(spec)}`, () => {
      expect(outputSpecSchema.parse(spec)).to.deep.equal(spec);
    });
  }

  for (const spec of [
    { name: 'resize', operation: 'resize', scale_factor: 0 },
    { name: 'resize', operation: 'resize', scale_factor: 10.01 },
    { name: 'resize', operation: 'resize', width: 0 },
    { name: 'resize', operation: 'resize', height: MAX_SIDE + 1 },
    { name: 'resize', operation: 'resize', width: 1.5 },
    { name: 'resize', operation: 'resize', width: 1, fit: 'stretch' },
    { name: 'resize', operation: 'resize', scale_factor: 1, quality: 0 },
    { name: 'resize', operation: 'resize', scale_factor: 1, format: 'heic' },
    { name: 'resize', operation: 'resize', scale_factor: 1, rotate: 45 },
    { name: 'circle', operation: 'circle' },
    { name: 'classify', operation: 'classify', top_k: 101 },
    { name: 'sharpen', operation: 'sharpen' },
  ]) {
    it(`refuse ${JSON.stringify(spec)}`, () => {
      expect(outputSpecSchema.safeParse(spec).success).to.equal(false);
    });
  }
});

describe('planOf', () => {
  it('returns the drawing of each operation', () => {
    const colours = { channels: 3, depth: 8, alpha: false } as const;
    const header: ImageHeader = {
      format: 'gif',
      width: 40,
      height: 20,
      frames: 3,
      ...colours,
      progressive: false,
      orientation: 1,
    };
    const drawing = (spec: OutputSpec) => planOf(header, spec).drawing;
    expect(drawing({ name: 'classify', operation: 'classify', top_k: 1 })).to.equal(null);
    expect(drawing({ name: 'placeholder', operation: 'placeholder' })).to.equal(null);
    expect(drawing({ name: 'circle', operation: 'circle', size: 9 })).to.include({ width: 9, height: 9, frames: 1 });
    const half = { name: 'resize', operation: 'resize', scale_factor: 0.5 } as const;
    expect(drawing(half)).to.include({ width: 20, height: 10, frames: 3 });
    expect(drawing({ ...half, format: 'png' })).to.include({ width: 20, height: 10, frames: 1 });
  });
});
