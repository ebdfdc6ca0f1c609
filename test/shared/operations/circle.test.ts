import { expect } from 'chai';
import { circleFormat } from '../../../shared/operations/circle.ts';
import { FORMATS } from '../../../shared/operations/format.ts';

describe('circleFormat', () => {
  it('is PNG unless WebP or AVIF is requested', () => {
    expect([undefined, ...FORMATS].map((asked) => circleFormat(asked)).join()).equal('png,png,png,webp,avif,png,png');
  });
});
