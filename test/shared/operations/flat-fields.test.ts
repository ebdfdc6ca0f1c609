import { expect } from 'chai';
import fc from 'fast-check';
import { DarkroomError } from '../../../shared/errors.ts';
import { FITS, GRAVITIES } from '../../../shared/operations/bounds.ts';
import {
  type FlatFields,
  findFlatField,
  flatFieldsSchema,
  readFlatFields,
} from '../../../shared/operations/flat-fields.ts';
import { FORMATS } from '../../../shared/operations/format.ts';
import { operationOf } from '../../../shared/operations/index.ts';
import { outputSpecsSchema } from '../../../shared/operations/outputs.ts';

/** The message of the BAD_REQUEST for these fields; null when there is none. */
function refusalOf(fields: FlatFields): string | null {
  try {
    readFlatFields(fields);
    return null;
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'BAD_REQUEST') return error.message;
    throw error;
  }
}

const side = fc.integer({ min: 1, max: 16_384 });
const values = fc.record({
  scale_factor: fc.double({ min: 0.001, max: 10, noNaN: true }),
  width: side,
  height: side,
  fit: fc.constantFrom(...FITS),
  gravity: fc.constantFrom(...GRAVITIES),
  background: fc.constantFrom('#ffffff', '#ff000080'),
  rotate: fc.constantFrom(0, 90, 180, 270),
  flip: fc.boolean(),
  flop: fc.boolean(),
  blur: fc.double({ min: 0.3, max: 1000, noNaN: true }),
  sharpen: fc.oneof(fc.boolean(), fc.double({ min: 0.000001, max: 10, noNaN: true })),
  format: fc.constantFrom(...FORMATS),
  quality: fc.integer({ min: 1, max: 100 }),
  grayscale: fc.boolean(),
  lossless: fc.boolean(),
  circle: side,
  classify: fc.boolean(),
  top_k: fc.integer({ min: 1, max: 100 }),
});
const names = fc.uniqueArray(fc.constantFrom(...flatFieldsSchema.keyof().options), { maxLength: 5 });
/** A few fields with valid values, which may contradict each other. */
const someFields = fc.tuple(values, names).map(([all, some]) => {
  return flatFieldsSchema.parse(
    Object.fromEntries(Object.entries(all).filter(([name]) => some.some((one) => one === name))),
  );
});

describe('readFlatFields', () => {
  it('returns valid outputs or throws BAD_REQUEST, for any fields', () => {
    fc.assert(
      fc.property(someFields, (fields) => {
        const refusal = refusalOf(fields);
        if (refusal !== null) {
          expect(refusal).to.match(/^Expected .+, received .+$/);
          return;
        }
        const specs = readFlatFields(fields);
        expect(outputSpecsSchema.parse(specs)).to.deep.equal(specs);
        for (const spec of specs) expect(operationOf(spec.operation).contradiction(spec)).to.equal(null);
      }),
      { numRuns: 2000 },
    );
  });

  it('returns an output for each requested resize, circle and classify, in this order', () => {
    fc.assert(
      fc.property(someFields, (fields) => {
        fc.pre(refusalOf(fields) === null);
        const isResize = fields.scale_factor !== undefined || fields.width !== undefined || fields.height !== undefined;
        expect(readFlatFields(fields).map(({ name, operation }) => [name, operation])).to.deep.equal([
          ...(isResize ? [['resize', 'resize']] : []),
          ...(fields.circle === undefined ? [] : [['circle', 'circle']]),
          ...(fields.classify === false ? [] : [['classify', 'classify']]),
        ]);
      }),
    );
  });

  it('classifies unless classify is false, with five classes by default', () => {
    const labels = { name: 'classify', operation: 'classify', top_k: 5 };
    expect(readFlatFields({ classify: true })).to.deep.equal([labels]);
    expect(readFlatFields({ circle: 9 })).to.deep.include(labels);
    expect(readFlatFields({ circle: 9, top_k: 3 })).to.deep.include({ ...labels, top_k: 3 });
    expect(readFlatFields({ circle: 9, classify: false })).not.to.deep.include(labels);
  });

  it('applies the encoding to every picture, with PNG for a circle in an unsuitable format', () => {
    const encoding = { quality: 70, grayscale: true } as const;
    const [resize, circle] = readFlatFields({ width: 9, circle: 8, classify: false, format: 'jpeg', ...encoding });
    expect(resize).to.include({ format: 'jpeg', ...encoding });
    expect(circle).to.include({ format: 'png', size: 8, ...encoding });
    const [, webp] = readFlatFields({ width: 9, circle: 8, format: 'webp', lossless: true });
    expect(webp).to.include({ format: 'webp', lossless: true });
    const [resized, png] = readFlatFields({ width: 9, circle: 8, lossless: true });
    expect(resized).to.include({ lossless: true });
    expect(png).to.include({ format: 'png' }).and.not.have.property('lossless');
  });

  const refused: readonly (readonly [FlatFields, RegExp])[] = [
    [{}, /^Expected at least one of scale_factor, width, height, circle or classify=true, received none$/],
    [{ classify: false }, /^Expected at least one of scale_factor/],
    [{ top_k: 3 }, /^Expected at least one of scale_factor/],
    [{ scale_factor: 1, width: 9 }, /^Expected scale_factor or width and height, received both$/],
    [{ classify: true, fit: 'cover' }, /^Expected width or height with fit, received neither$/],
    [{ circle: 9, fit: 'cover' }, /^Expected width or height with fit, received neither$/],
    [{ width: 9, gravity: 'north' }, /^Expected fit=cover with width and height beside gravity/],
    [{ width: 9, format: 'png', background: '#ffffff' }, /^Expected fit=contain or a format without transparency/],
    [{ classify: true, format: 'png' }, /^Expected scale_factor, width, height or circle with format, quality/],
    [{ classify: true, quality: 9 }, /^Expected scale_factor, width, height or circle with format, quality/],
    [{ circle: 9, rotate: 90 }, /^Expected scale_factor, width or height with rotate /],
    [{ circle: 9, blur: 1 }, /^Expected scale_factor, width or height with blur /],
    [{ circle: 9, flip: true }, /^Expected scale_factor, width or height with flip /],
    [{ classify: true, lossless: true }, /^Expected scale_factor, width or height with lossless /],
    [
      { width: 9, lossless: true, format: 'jpeg' },
      /^Expected webp or avif as the format with lossless, received jpeg$/,
    ],
    [{ circle: 9, lossless: true }, /^Expected webp or avif as the format with lossless, received png$/],
    [{ circle: 9, classify: false, top_k: 3 }, /^Expected classify with top_k, received classify=false$/],
  ];
  for (const [fields, message] of refused) {
    it(`refuses ${JSON.stringify(fields)}, which has no effect or contradicts itself`, () => {
      expect(refusalOf(fields)).to.match(message);
    });
  }
});

describe('findFlatField', () => {
  it('finds a field that describes a picture or labels; classify=false describes neither', () => {
    expect(findFlatField({})).to.equal(undefined);
    expect(findFlatField({ classify: false })).to.equal(undefined);
    expect(findFlatField({ width: undefined })).to.equal(undefined);
    expect(findFlatField({ classify: true })).to.equal('classify');
    expect(findFlatField({ classify: false, top_k: 3 })).to.equal('top_k');
    expect(findFlatField({ flip: false })).to.equal('flip');
  });
});
