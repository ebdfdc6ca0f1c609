import { expect } from 'chai';
import fc from 'fast-check';
import { preferredWait } from '../../../../../server-a/protocols/http/answer/prefer.ts';

describe('prefer', () => {
  for (const [header, seconds] of [
    ['wait=10', 10],
    ['wait="10"', 10],
    ['Wait = 10', 10],
    ['respond-async, wait=10', 10],
    ['wait=10; foo=bar', 10],
    ['foo;wait=5, wait=10', 10],
    ['wait=10, wait=20', 10],
    ['wait=0', 0],
  ] as const) {
    it(`reads ${seconds} seconds from "${header}"`, () => {
      expect(preferredWait(header)).equal(seconds);
    });
  }

  for (const header of ['', 'respond-async', 'wait', 'wait=', 'wait=-1', 'wait=1.5', 'wait=abc', 'wait=x, wait=5']) {
    it(`ignores "${header}"`, () => {
      expect(preferredWait(header)).equal(null);
    });
  }

  it('returns a whole number or null for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const seconds = preferredWait(`wait=${text}`);
        expect(seconds === null || Number.isSafeInteger(seconds)).equal(true);
      }),
    );
  });
});
