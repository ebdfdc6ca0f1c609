import { expect } from 'chai';
import fc from 'fast-check';
import { parseRange } from '../../../../../server-a/protocols/http/answer/range.ts';

describe('range', () => {
  for (const [header, expected] of [
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=10-19', { start: 10, end: 19 }],
    ['bytes=90-', { start: 90, end: 99 }],
    ['bytes=-10', { start: 90, end: 99 }],
    ['bytes=-1000', { start: 0, end: 99 }],
    ['bytes=0-1000', { start: 0, end: 99 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=20-10', null],
    ['bytes=0-1,5-6', null],
    ['bytes=-', null],
    ['bytes=a-b', null],
    ['items=0-1', null],
    ['', null],
  ] as const) {
    it(`reads "${header}" of 100 bytes as ${JSON.stringify(expected)}`, () => {
      expect(parseRange(header, 100)).deep.equal(expected);
    });
  }

  it('never returns a range outside the file', () => {
    const bound = fc.oneof(fc.constant(''), fc.nat().map(String));
    fc.assert(
      fc.property(bound, bound, fc.integer({ min: 1, max: 1000 }), (first, last, size) => {
        const range = parseRange(`bytes=${first}-${last}`, size);
        if (range === null || range === 'unsatisfiable') return;
        expect(range.start).within(0, range.end);
        expect(range.end).within(range.start, size - 1);
      }),
    );
  });
});
