import { expect } from 'chai';
import { DarkroomError } from '../../../shared/errors.ts';
import {
  decodeHeader,
  encodeHeader,
  encodeMessage,
  HEADER_BYTES,
  MAX_CONTROL_BYTES,
  MAX_DATA_BYTES,
} from '../../../shared/wire/frame.ts';

describe('frame', () => {
  it('accepts a message of 65,536 bytes, but no longer one', () => {
    const overhead = JSON.stringify({ text: '' }).length;
    const longest = { text: 'x'.repeat(MAX_CONTROL_BYTES - overhead) };
    expect(encodeMessage('FAIL', longest)).to.have.length(HEADER_BYTES + MAX_CONTROL_BYTES);
    expect(() => encodeMessage('FAIL', { text: `${longest.text}x` })).to.throw(
      DarkroomError,
      'Expected 2 to 65536 bytes for the length of FAIL, received 65537',
    );
  });

  it('counts a message in bytes of UTF-8, not in characters', () => {
    expect(() => encodeMessage('FAIL', { text: '€'.repeat(30_000) })).to.throw(DarkroomError, '65536');
  });

  it('reads the shortest and the longest DATA header', () => {
    for (const length of [1, MAX_DATA_BYTES]) {
      expect(decodeHeader(encodeHeader('DATA', length))).to.deep.equal({ kind: 'DATA', length });
    }
  });

  it('refuses every number that is not a kind, and names it', () => {
    for (const number of [0, ...Array.from({ length: 244 }, (_, index) => index + 12)]) {
      expect(() => decodeHeader(Buffer.from([number, 0, 0, 0, 2])))
        .to.throw(DarkroomError, `Expected a frame kind from 1 to 11 for kind, received ${number}`)
        .with.property('code', 'BAD_REQUEST');
    }
  });
});
