import { expect } from 'chai';
import { withoutDensity } from '../../../server-b/operations/png-density.ts';
import { bytes, chunk, pngStart } from '../../support/hand-made.ts';
import { decode, waves } from '../../support/pictures.ts';

const START = pngStart(40, 20, 8, 2);
const DENSITY = chunk('pHYs', Buffer.alloc(9, 1));
const TEXT = chunk('tEXt', Buffer.from('pHYs'));
const REST = bytes(chunk('IDAT', Buffer.alloc(30, 2)), chunk('IEND'));

/** Asserts the result, and that it has its own buffer. */
function expectResult(png: Buffer, expected: Buffer): void {
  const result = withoutDensity(png);
  expect(Buffer.from(result)).to.deep.equal(expected);
  expect(result.buffer.byteLength).to.equal(result.byteLength);
}

describe('withoutDensity', () => {
  it('removes the pHYs chunk and keeps every other byte', () => {
    expectResult(bytes(START, DENSITY, REST), bytes(START, REST));
    expectResult(bytes(START, TEXT, DENSITY, TEXT, REST), bytes(START, TEXT, TEXT, REST));
  });

  it('copies a PNG without pHYs, even if its data contains that text', () => {
    expectResult(bytes(START, REST), bytes(START, REST));
    expectResult(bytes(START, TEXT, REST), bytes(START, TEXT, REST));
  });

  it('stops at the first IDAT, because pHYs may not follow it', () => {
    const png = bytes(START, REST, DENSITY);
    expectResult(png, png);
  });

  it('copies a PNG that ends early', () => {
    for (const png of [Buffer.alloc(0), START.subarray(0, 10), bytes(START, DENSITY).subarray(0, START.length + 6)]) {
      expectResult(png, png);
    }
  });

  it('returns a picture without density and with the same pixels', async () => {
    const png = await waves(30, 20).png().toBuffer();
    expect(png.includes('pHYs')).to.equal(true);
    const result = withoutDensity(png);
    expect(Buffer.from(result).includes('pHYs')).to.equal(false);
    expect((await decode(result)).pixels).to.deep.equal((await decode(png)).pixels);
  });
});
