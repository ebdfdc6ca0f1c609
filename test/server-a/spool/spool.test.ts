import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { inputName, outputName, parseSpoolName, Spool } from '../../../server-a/spool/spool.ts';
import { SpoolFile } from '../../../server-a/spool/spool-file.ts';
import { SYSTEM } from '../../../server-a/system.ts';
import { NODE_FILES } from '../../../shared/file-system.ts';
import { codeOf, silent, useTemporaryFolder } from '../tasks/support.ts';

const ID = 'V1StGXR8_Z5jdHi6B-myT';

describe('spool', () => {
  const folder = useTemporaryFolder();
  let spool: Spool;
  beforeEach(async () => {
    spool = await Spool.open(folder(), silent);
  });
  afterEach(() => spool.close());

  async function place(name: string, text: string): Promise<SpoolFile> {
    const file = await spool.create('input');
    await file.write(Buffer.from(text));
    await file.seal();
    await file.moveTo(name);
    return file;
  }

  describe('file', () => {
    it('has its name and its hash when it is complete', async () => {
      const file = await spool.create('input');
      await file.write(Buffer.from('half '));
      expect((await readdir(folder())).every((name) => name.endsWith('.tmp'))).to.equal(true);
      await file.write(Buffer.from('and half'));
      await file.seal();
      await file.moveTo(inputName(ID));
      file.keep();
      expect(await readdir(folder())).to.deep.equal([inputName(ID)]);
      expect(await readFile(spool.path(inputName(ID)), 'utf8')).to.equal('half and half');
      expect(file.sha256).to.equal(createHash('sha256').update('half and half').digest('hex'));
      expect(spool.bytes).to.equal(13);
    });

    it('leaves nothing when discarded, in every state', async () => {
      const empty = await spool.create('input');
      const written = await spool.create('input');
      await written.write(Buffer.from('bytes'));
      const placed = await place(inputName(ID), 'bytes');
      for (const file of [empty, written, placed, placed]) await file.discard();
      expect(await readdir(folder())).to.deep.equal([]);
      expect(spool.bytes).to.equal(0);
    });

    it('leaves nothing when discarded while it moves', async () => {
      for (let round = 0; round < 20; round += 1) {
        const file = await spool.create('input');
        await file.write(Buffer.from('bytes'));
        await file.seal();
        const moved = file.moveTo(inputName(ID));
        await Promise.all([codeOf(moved), file.discard()]);
        expect(await readdir(folder())).to.deep.equal([]);
        expect(spool.bytes).to.equal(0);
      }
    });

    it('stays once it is kept', async () => {
      const file = await place(inputName(ID), 'bytes');
      file.keep();
      await file.discard();
      expect(await readdir(folder())).to.deep.equal([inputName(ID)]);
    });

    it('cannot be written after it is sealed, or moved before', async () => {
      const file = await spool.create('input');
      expect(await codeOf(file.moveTo('x'))).to.equal('Expected a spool file that is sealed, received one open');
      await file.seal();
      expect(await codeOf(async () => file.write(Buffer.from('x')))).to.equal(
        'Expected a spool file that is open, received one sealed',
      );
      await file.discard();
    });

    it('fails with STORAGE_FULL on a full disk', async function () {
      // A device on which every write fails with ENOSPC (full(4)). Not every system has it.
      const full = await open('/dev/full', 'r+').catch(() => null);
      if (full === null) return this.skip();
      const file = new SpoolFile(spool, join(folder(), 'gone.tmp'), full, 'input');
      expect(await codeOf(async () => file.write(Buffer.alloc(512 * 1024)))).to.equal('STORAGE_FULL');
      await file.discard();
      const small = new SpoolFile(spool, join(folder(), 'gone.tmp'), await open('/dev/full', 'r+'), 'input');
      await small.write(Buffer.from('x'));
      expect(await codeOf(small.seal())).to.equal('STORAGE_FULL');
      await small.discard();
      expect(spool.bytes).to.equal(0);
    });
  });

  it('parses the names that it makes, and no others', () => {
    expect(parseSpoolName(inputName(ID))).to.deep.equal({ kind: 'input', id: ID });
    const output = { kind: 'output', id: ID, attempt: 12, output: 'my-thumb' };
    expect(parseSpoolName(outputName(ID, 12, 'my-thumb'))).to.deep.equal(output);
    expect(parseSpoolName(`${ID}.tmp`)).to.deep.equal({ kind: 'temporary' });
    const unnamed = ['', 'Resize', '-a', 'a_b', 'a'.repeat(33)].map((output) => `${ID}.1.${output}`);
    const misnumbered = [`${ID}.01.resize`, `${ID}.x.resize`];
    for (const name of ['x.tmp', ...unnamed, ...misnumbered, `${ID}.1.resize.tmp`, ID, '.', `${ID}.input.x`]) {
      expect(parseSpoolName(name), name).to.deep.equal({ kind: 'other' });
    }
  });

  it('reads an input in pieces', async () => {
    (await place(inputName(ID), '12345')).keep();
    const pieces: string[] = [];
    for await (const piece of spool.read(inputName(ID), Buffer.alloc(2))) pieces.push(Buffer.from(piece).toString());
    expect(pieces).to.deep.equal(['12', '34', '5']);
  });

  for (const code of ['ENOENT', 'EIO']) {
    it(`fails to read an input with SPOOL_CORRUPT after ${code}`, async () => {
      const failing = async function* (): AsyncGenerator<Buffer> {
        yield Buffer.from('1');
        throw Object.assign(new Error('failed'), { code });
      };
      const other = await Spool.open(folder(), silent, { ...SYSTEM, files: { ...NODE_FILES, read: failing } });
      const pieces: string[] = [];
      const reading = async () => {
        for await (const piece of other.read(inputName(ID), Buffer.alloc(2)))
          pieces.push(Buffer.from(piece).toString());
      };
      expect(await codeOf(reading())).to.equal('SPOOL_CORRUPT');
      expect(pieces).to.deep.equal(['1']);
      await other.close();
    });
  }

  it('names its files, ignores folders, and counts the files that it adopts', async () => {
    await writeFile(join(folder(), inputName(ID)), '12345');
    await writeFile(join(folder(), outputName(ID, 1, 'resize')), '123');
    await mkdir(join(folder(), 'lost+found'));
    expect((await spool.names()).sort()).to.deep.equal([inputName(ID), outputName(ID, 1, 'resize')].sort());
    expect(spool.bytes).to.equal(0);
    await spool.adopt(inputName(ID));
    await spool.adopt('missing.input');
    expect(spool.bytes).to.equal(5);
  });

  it('removes nothing once it is preserved', async () => {
    const kept = await place(inputName(ID), 'bytes');
    kept.keep();
    const placed = await place(outputName(ID, 1, 'resize'), 'picture');
    spool.preserve();
    await spool.remove(inputName(ID));
    await placed.discard();
    expect((await readdir(folder())).sort()).to.deep.equal([inputName(ID), outputName(ID, 1, 'resize')].sort());
    expect(spool.bytes).to.equal('bytes'.length + 'picture'.length);
  });

  it('subtracts a file only once when it is removed twice at once', async () => {
    (await place(inputName(ID), 'bytes')).keep();
    await Promise.all([spool.remove(inputName(ID)), spool.remove(inputName(ID))]);
    expect(spool.bytes).to.equal(0);
  });

  it('makes many names durable at once, each after its rename', async () => {
    const names = Array.from({ length: 50 }, (_, index) => inputName(`${index}`));
    const files = await Promise.all(names.map((name) => place(name, 'x')));
    for (const file of files) file.keep();
    expect((await readdir(folder())).length).to.equal(50);
  });
});
