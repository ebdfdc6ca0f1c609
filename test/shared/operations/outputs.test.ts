import { expect } from 'chai';
import { outputSpecsSchema } from '../../../shared/operations/outputs.ts';

describe('outputSpecsSchema', () => {
  const isAccepted = (list: readonly object[]) => outputSpecsSchema.safeParse(list).success;

  it('takes at least one output, and each name at most once', () => {
    const classify = { name: 'classify', operation: 'classify', top_k: 5 };
    expect(isAccepted([])).to.equal(false);
    expect(isAccepted([classify, classify])).to.equal(false);
    expect(isAccepted([classify, { ...classify, name: 'again' }])).to.equal(true);
    expect(isAccepted([classify, { name: 'circle', operation: 'circle', size: 9 }])).to.equal(true);
  });
});
