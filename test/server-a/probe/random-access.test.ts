import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { probe } from '../../../server-a/probe/probe.ts';
import { openRandomAccess, type RandomAccess } from '../../../server-a/probe/random-access.ts';

describe('random access over a file', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-probe-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('reads the requested bytes, and fewer only at the end', async () => {
    const path = join(folder, 'digits');
    await writeFile(path, '0123456789');
    await withSource(path, async (source) => {
      expect(source.size).to.equal(10);
      expect(Buffer.from(await source.read(3, 4)).toString()).to.equal('3456');
      expect(Buffer.from(await source.read(8, 4)).toString()).to.equal('89');
      expect((await source.read(20, 4)).length).to.equal(0);
    });
  });

  it('serves the probe of a picture on disk, and leaves the handle open', async () => {
    const path = join(folder, 'picture.png');
    await sharp({ create: { width: 40, height: 20, channels: 4, background: 'teal' } }).toFile(path);
    await withSource(path, async (source) => {
      expect(await probe(source)).to.include({ format: 'png', width: 40, height: 20 });
      expect((await source.read(0, 8)).length).to.equal(8);
    });
  });

  it('fails with IMAGE_CORRUPT when the file shrinks during the probe', async () => {
    const path = join(folder, 'shrinking.png');
    await sharp({ create: { width: 40, height: 20, channels: 4, background: 'teal' } }).toFile(path);
    await withSource(path, async (source) => {
      await truncate(path, 20);
      const outcome = await probe(source).catch((error: unknown) => error);
      expect(outcome).to.include({ code: 'IMAGE_CORRUPT' });
    });
  });
});

async function withSource(path: string, use: (source: RandomAccess) => Promise<void>) {
  const handle = await open(path);
  try {
    await use(await openRandomAccess(handle));
  } finally {
    await handle.close();
  }
}
