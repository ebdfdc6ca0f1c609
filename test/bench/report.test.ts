import { expect } from 'chai';
import type { Figure } from '../../bench/case.ts';
import { isMet, page, table } from '../../bench/report.ts';

const CPU: Figure = {
  figure: 'CPU, Darkroom ÷ bare loop',
  value: 1.25,
  unit: '',
  spread: [1.2, 1.314],
  target: { most: 1.1 },
  darkroom: '99.1 ms',
  reference: '79.3 ms',
};

describe('report of the benchmark', () => {
  it('says of each figure with a target if it is met', () => {
    expect(isMet({ value: 1.1, target: { most: 1.1 } })).to.equal(true);
    expect(isMet({ value: 1.11, target: { most: 1.1 } })).to.equal(false);
    expect(isMet({ value: 0.92, target: { least: 0.92 } })).to.equal(true);
    expect(isMet({ value: 0.9, target: { least: 0.92 } })).to.equal(false);
    expect(isMet({ value: 1, target: null })).to.equal(null);
  });

  it('does not call a figure that is not a number met', () => {
    expect(isMet({ value: Number.NaN, target: { most: 1.1 } })).to.equal(false);
    expect(isMet({ value: Number.NaN, target: { least: 1.1 } })).to.equal(false);
  });

  it('shows figure, spread, both sides, target and result in columns of one width', () => {
    const lines = table([{ name: 'upload-0.5', title: '1 MB at 0.5', rows: [CPU] }]).split('\n');
    expect(new Set(lines.map(({ length }) => length)).size).to.equal(1);
    expect(lines[2]?.split(/ *\| */)).to.deep.equal([
      '',
      'upload-0.5: 1 MB at 0.5',
      'CPU, Darkroom ÷ bare loop',
      '1.25',
      '1.20 to 1.31',
      '99.1 ms',
      '79.3 ms',
      '≤ 1.1',
      'no',
      '',
    ]);
  });

  it('says why a figure was not measured', () => {
    const rows = [{ figure: 'rate, Darkroom ÷ bare loop', reason: 'needs the classifier' }];
    expect(table([{ name: 'classify', title: 'labels', rows }])).to.match(/not run .*needs the classifier/);
  });

  it('names on the page what it was measured on and with', () => {
    const text = page({ machine: '2 × processor', rounds: '5' }, []);
    expect(text).to.include('- machine: 2 × processor\n- rounds: 5\n');
  });
});
