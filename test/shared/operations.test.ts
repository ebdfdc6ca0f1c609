import { expect } from 'chai';
import fc from 'fast-check';
import {
  circleFormat,
  FITS,
  FORMATS,
  MAX_SIDE,
  type Operation,
  operationSchema,
  operationsSchema,
  type ResizeParameters,
  resizedSize,
  type Size,
} from '../../shared/operations.ts';

const side = fc.integer({ min: 1, max: MAX_SIDE });
const picture = fc.record({ width: side, height: side });

function resize(parameters: Omit<ResizeParameters, 'operation'>): ResizeParameters {
  return { operation: 'resize', ...parameters };
}

/** True when the size is the picture's times one factor, each side rounded and at least 1. */
function keepsShape(input: Size, output: Size): boolean {
  const low = Math.max((output.width - 0.5) / input.width, (output.height - 0.5) / input.height);
  const high = Math.min((output.width + 0.5) / input.width, (output.height + 0.5) / input.height);
  return output.width === 1 || output.height === 1 || low <= high + 1e-9;
}

describe('circleFormat', () => {
  it('is PNG unless WebP or AVIF is asked for', () => {
    expect([undefined, ...FORMATS].map((asked) => circleFormat(asked)).join()).equal('png,png,png,webp,avif,png,png');
  });
});

describe('resizedSize', () => {
  it('gives max(1, round(side × factor)) for a factor', () => {
    const factor = fc.double({ min: Number.MIN_VALUE, max: 10, noNaN: true });
    fc.assert(
      fc.property(picture, factor, (input, scale_factor) => {
        const output = resizedSize(input, resize({ scale_factor }));
        expect(output.width).to.equal(Math.max(1, Math.round(input.width * scale_factor)));
        expect(output.height).to.equal(Math.max(1, Math.round(input.height * scale_factor)));
      }),
    );
  });

  it('rounds halves up and never gives 0', () => {
    expect(resizedSize({ width: 3361, height: 2521 }, resize({ scale_factor: 0.5 }))).to.deep.equal({
      width: 1681,
      height: 1261,
    });
    expect(resizedSize({ width: 1, height: 3 }, resize({ scale_factor: 0.01 }))).to.deep.equal({ width: 1, height: 1 });
  });

  it('gives whole pixels of at least 1 whatever is asked', () => {
    const parameters = fc.record({ width: side, height: side, fit: fc.constantFrom(...FITS) }, { requiredKeys: [] });
    fc.assert(
      fc.property(picture, parameters, (input, asked) => {
        const { width, height } = resizedSize(input, resize(asked));
        expect([width, height].every((length) => Number.isInteger(length) && length >= 1)).to.equal(true);
      }),
    );
  });

  it('keeps the picture inside the box, touching it, in its shape', () => {
    fc.assert(
      fc.property(picture, picture, fc.constantFrom('inside' as const, undefined), (input, box, fit) => {
        const output = resizedSize(input, resize({ ...box, ...(fit && { fit }) }));
        expect(output.width).to.be.at.most(box.width);
        expect(output.height).to.be.at.most(box.height);
        expect(output.width === box.width || output.height === box.height).to.equal(true);
        expect(keepsShape(input, output)).to.equal(true);
      }),
    );
  });

  it('covers the box from outside, touching it, in its shape', () => {
    fc.assert(
      fc.property(picture, picture, (input, box) => {
        const output = resizedSize(input, resize({ ...box, fit: 'outside' }));
        expect(output.width).to.be.at.least(box.width);
        expect(output.height).to.be.at.least(box.height);
        expect(output.width === box.width || output.height === box.height).to.equal(true);
        expect(keepsShape(input, output)).to.equal(true);
      }),
    );
  });

  it('gives the box itself for cover, contain and fill', () => {
    fc.assert(
      fc.property(picture, picture, fc.constantFrom('cover', 'contain', 'fill'), (input, box, fit) => {
        expect(resizedSize(input, resize({ ...box, fit }))).to.deep.equal(box);
      }),
    );
  });

  it("lets the other side follow the picture's shape when one is given", () => {
    fc.assert(
      fc.property(picture, side, fc.constantFrom(...FITS), (input, length, fit) => {
        const wide = resizedSize(input, resize({ width: length, fit }));
        expect(wide.width).to.equal(length);
        expect(keepsShape(input, wide)).to.equal(true);
        const high = resizedSize(input, resize({ height: length, fit }));
        expect(high.height).to.equal(length);
        expect(keepsShape(input, high)).to.equal(true);
      }),
    );
  });

  it('leaves the picture as it is when no size is asked for', () => {
    expect(resizedSize({ width: 7, height: 9 }, resize({ format: 'png' }))).to.deep.equal({ width: 7, height: 9 });
  });
});

describe('operations', () => {
  const accepted: Operation[] = [
    { operation: 'resize', scale_factor: 10 },
    { operation: 'resize', width: MAX_SIDE, height: 1, fit: 'cover', format: 'avif', quality: 100, grayscale: true },
    { operation: 'circle', size: 1 },
    { operation: 'classify', top_k: 100 },
  ];
  for (const operation of accepted) {
    it(`take ${JSON.stringify(operation)}`, () => {
      expect(operationSchema.parse(operation)).to.deep.equal(operation);
    });
  }

  for (const operation of [
    { operation: 'resize', scale_factor: 0 },
    { operation: 'resize', scale_factor: 10.01 },
    { operation: 'resize', width: 0 },
    { operation: 'resize', height: MAX_SIDE + 1 },
    { operation: 'resize', width: 1.5 },
    { operation: 'resize', width: 1, fit: 'stretch' },
    { operation: 'resize', scale_factor: 1, quality: 0 },
    { operation: 'resize', scale_factor: 1, format: 'heic' },
    { operation: 'resize', scale_factor: 1, rotate: 90 },
    { operation: 'circle' },
    { operation: 'classify', top_k: 101 },
    { operation: 'sharpen' },
  ]) {
    it(`refuse ${JSON.stringify(operation)}`, () => {
      expect(operationSchema.safeParse(operation).success).to.equal(false);
    });
  }

  it('come at least one, and each at most once', () => {
    const classify = { operation: 'classify', top_k: 5 };
    expect(operationsSchema.safeParse([]).success).to.equal(false);
    expect(operationsSchema.safeParse([classify, classify]).success).to.equal(false);
    expect(operationsSchema.safeParse([classify, { operation: 'circle', size: 9 }]).success).to.equal(true);
  });
});
