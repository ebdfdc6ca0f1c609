import { expect } from 'chai';
import { median, percentile, quotients, spreadOf } from '../../bench/statistics.ts';

describe('statistics of the benchmark', () => {
  it('gives the middle value, or the mean of the two in the middle', () => {
    expect(median([30, 1, 2])).to.equal(2);
    expect(median([4, 1, 2, 30])).to.equal(3);
    expect(median([])).to.be.NaN;
  });

  it('gives the value that a share of all values does not exceed', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(percentile(values, 0.99)).to.equal(198);
    expect(percentile([7], 0.99)).to.equal(7);
    expect(percentile([], 0.99)).to.be.NaN;
  });

  it('gives the smallest and the largest value', () => {
    expect(spreadOf([2, 10, 1])).to.deep.equal([1, 10]);
  });

  it('divides round by round', () => {
    expect(quotients([2, 9], [1, 3])).to.deep.equal([2, 3]);
  });
});
