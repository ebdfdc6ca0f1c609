import { expect } from 'chai';
import fc from 'fast-check';
import { GatheredBytes } from '../../../server-a/pictures/gathered-bytes.ts';

describe('gathered bytes', () => {
  it('are those of the pieces, in one buffer that has no other bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (pieces) => {
        const gathered = new GatheredBytes();
        for (const piece of pieces) gathered.add(piece);
        const expected = Buffer.concat(pieces);
        expect(gathered.length).to.equal(expected.length);
        const joined = gathered.join();
        expect(expected.equals(joined)).to.equal(true);
        expect(joined.buffer.byteLength).to.equal(expected.length);
        gathered.add(Buffer.from('more'));
        expect(expected.equals(joined)).to.equal(true);
        expect(Buffer.concat([expected, Buffer.from('more')]).equals(gathered.join())).to.equal(true);
        gathered.clear();
        expect(gathered.join()).to.have.length(0);
      }),
    );
  });

  it('keep no buffer alive that is more than twice as large as its piece', () => {
    const gathered = new GatheredBytes();
    gathered.add(Buffer.allocUnsafeSlow(65_536).subarray(100, 200));
    expect(gathered.join().buffer.byteLength).to.equal(100);
  });

  it('share no buffer with a piece', () => {
    const piece = Buffer.allocUnsafeSlow(5000);
    const gathered = new GatheredBytes();
    gathered.add(piece);
    expect(gathered.take().buffer).to.not.equal(piece.buffer);
    expect(gathered.length).to.equal(0);
  });
});
