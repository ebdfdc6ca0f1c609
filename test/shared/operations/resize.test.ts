import { expect } from 'chai';
import fc from 'fast-check';
import { FITS, MAX_SIDE } from '../../../shared/operations/bounds.ts';
import type { Size } from '../../../shared/operations/format.ts';
import { resizedSize } from '../../../shared/operations/resize.ts';

const side = fc.integer({ min: 1, max: MAX_SIDE });
const picture = fc.record({ width: side, height: side });

/** True when the size is the picture's times one factor, each side rounded and at least 1. */
function keepsShape(input: Size, output: Size): boolean {
  const low = Math.max((output.width - 0.5) / input.width, (output.height - 0.5) / input.height);
  const high = Math.min((output.width + 0.5) / input.width, (output.height + 0.5) / input.height);
  return output.width === 1 || output.height === 1 || low <= high + 1e-9;
}

describe('resizedSize', () => {
  it('is max(1, round(side × factor)) for a factor', () => {
    const factor = fc.double({ min: Number.MIN_VALUE, max: 10, noNaN: true });
    fc.assert(
      fc.property(picture, factor, (input, scale_factor) => {
        const output = resizedSize(input, { scale_factor });
        expect(output.width).to.equal(Math.max(1, Math.round(input.width * scale_factor)));
        expect(output.height).to.equal(Math.max(1, Math.round(input.height * scale_factor)));
      }),
    );
  });

  it('rounds halves up and is never 0', () => {
    expect(resizedSize({ width: 3361, height: 2521 }, { scale_factor: 0.5 })).to.deep.equal({
      width: 1681,
      height: 1261,
    });
    expect(resizedSize({ width: 1, height: 3 }, { scale_factor: 0.01 })).to.deep.equal({ width: 1, height: 1 });
  });

  it('is a whole number of pixels, at least 1, for any parameters', () => {
    const parameters = fc.record({ width: side, height: side, fit: fc.constantFrom(...FITS) }, { requiredKeys: [] });
    fc.assert(
      fc.property(picture, parameters, (input, asked) => {
        const { width, height } = resizedSize(input, asked);
        expect([width, height].every((length) => Number.isInteger(length) && length >= 1)).to.equal(true);
      }),
    );
  });

  it('is the largest size inside the box with the same aspect ratio, for inside', () => {
    fc.assert(
      fc.property(picture, picture, fc.constantFrom('inside' as const, undefined), (input, box, fit) => {
        const output = resizedSize(input, { ...box, ...(fit && { fit }) });
        expect(output.width).to.be.at.most(box.width);
        expect(output.height).to.be.at.most(box.height);
        expect(output.width === box.width || output.height === box.height).to.equal(true);
        expect(keepsShape(input, output)).to.equal(true);
      }),
    );
  });

  it('is the smallest size around the box with the same aspect ratio, for outside', () => {
    fc.assert(
      fc.property(picture, picture, (input, box) => {
        const output = resizedSize(input, { ...box, fit: 'outside' });
        expect(output.width).to.be.at.least(box.width);
        expect(output.height).to.be.at.least(box.height);
        expect(output.width === box.width || output.height === box.height).to.equal(true);
        expect(keepsShape(input, output)).to.equal(true);
      }),
    );
  });

  it('is the box itself for cover, contain and fill', () => {
    fc.assert(
      fc.property(picture, picture, fc.constantFrom('cover', 'contain', 'fill'), (input, box, fit) => {
        expect(resizedSize(input, { ...box, fit })).to.deep.equal(box);
      }),
    );
  });

  it('keeps the aspect ratio when one side is given', () => {
    fc.assert(
      fc.property(picture, side, fc.constantFrom(...FITS), (input, length, fit) => {
        const wide = resizedSize(input, { width: length, fit });
        expect(wide.width).to.equal(length);
        expect(keepsShape(input, wide)).to.equal(true);
        const high = resizedSize(input, { height: length, fit });
        expect(high.height).to.equal(length);
        expect(keepsShape(input, high)).to.equal(true);
      }),
    );
  });

  it('is the size of the picture when no size is given', () => {
    expect(resizedSize({ width: 7, height: 9 }, { format: 'png' })).to.deep.equal({ width: 7, height: 9 });
  });
});
