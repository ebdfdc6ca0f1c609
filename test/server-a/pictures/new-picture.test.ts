import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { NewPicture, SMALL_PICTURE_BYTES } from '../../../server-a/pictures/new-picture.ts';
import { Spool } from '../../../server-a/spool/spool.ts';
import { codeOf, silent, useTemporaryFolder } from '../tasks/support.ts';

const NAME = 'V1StGXR8_Z5jdHi6B-myT.input';

describe('a new picture', () => {
  const folder = useTemporaryFolder();
  let spool: Spool;
  beforeEach(async () => {
    spool = await Spool.open(folder(), silent);
  });
  afterEach(() => spool.close());

  /** Writes bytes in pieces. */
  async function written(bytes: Buffer, pieceBytes = 5000): Promise<NewPicture> {
    const picture = new NewPicture(spool, 'input');
    for (let start = 0; start < bytes.length; start += pieceBytes) {
      await picture.write(bytes.subarray(start, start + pieceBytes));
    }
    return picture;
  }

  for (const [length, isSmall] of [
    [0, true],
    [1, true],
    [SMALL_PICTURE_BYTES - 1, true],
    [SMALL_PICTURE_BYTES, true],
    [SMALL_PICTURE_BYTES + 1, false],
  ] as const) {
    it(`of ${length} bytes becomes ${isSmall ? 'a row for its record' : 'a file'}, with the same bytes and hash`, async () => {
      const bytes = randomBytes(length);
      const picture = await written(bytes);
      expect([picture.bytes, picture.isSmall, spool.bytes]).to.deep.equal([length, isSmall, length]);
      const access = await picture.access();
      expect(access.size).to.equal(length);
      expect(bytes.equals(await access.read(0, length))).to.equal(true);
      expect(bytes.subarray(-3).equals(await access.read(Math.max(0, length - 3), 10))).to.equal(true);
      await picture.seal();
      expect(picture.sha256).to.equal(createHash('sha256').update(bytes).digest('hex'));
      const rows = await picture.place(NAME);
      expect(rows).to.deep.equal(isSmall ? [{ name: NAME, size: length, bytes }] : []);
      expect(await readdir(folder())).to.deep.equal(isSmall ? [] : [NAME]);
      if (!isSmall) expect(bytes.equals(await readFile(spool.path(NAME)))).to.equal(true);
      picture.keep();
      await picture.discard();
      // The store counts a small one from now on.
      expect(spool.bytes).to.equal(isSmall ? 0 : length);
      expect(await readdir(folder())).to.deep.equal(isSmall ? [] : [NAME]);
    });
  }

  it('leaves nothing when it is discarded, in every state', async () => {
    for (const length of [100, SMALL_PICTURE_BYTES + 1]) {
      const open = await written(Buffer.alloc(length));
      const sealed = await written(Buffer.alloc(length));
      await sealed.seal();
      const placed = await written(Buffer.alloc(length));
      await placed.seal();
      await placed.place(NAME);
      for (const picture of [open, sealed, placed, placed]) await picture.discard();
      expect(await readdir(folder())).to.deep.equal([]);
      expect(spool.bytes).to.equal(0);
    }
  });

  it('leaves nothing when it is discarded while it becomes a file', async () => {
    const picture = await written(Buffer.alloc(SMALL_PICTURE_BYTES));
    const writing = picture.write(Buffer.from('more'));
    await picture.discard();
    expect(await codeOf(async () => writing)).to.equal('Expected a picture that is open, received one discarded');
    expect(await readdir(folder())).to.deep.equal([]);
    expect(spool.bytes).to.equal(0);
  });

  it('cannot be written after it is sealed, or placed before', async () => {
    const picture = await written(Buffer.from('bytes'));
    expect(await codeOf(picture.place(NAME))).to.equal('Expected a picture that is sealed, received one open');
    await picture.seal();
    expect(await codeOf(async () => picture.write(Buffer.from('x')))).to.equal(
      'Expected a picture that is open, received one sealed',
    );
    await picture.discard();
  });
});
