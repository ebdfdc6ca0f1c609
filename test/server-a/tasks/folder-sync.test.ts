import { open } from 'node:fs/promises';
import { expect } from 'chai';
import { FolderSync } from '../../../server-a/tasks/folder-sync.ts';
import { useTemporaryFolder } from './support.ts';

describe('folder sync', () => {
  const folder = useTemporaryFolder();

  it('shares one fsync among those who come while another runs', async () => {
    const handle = await open(folder(), 'r');
    const prototype = Object.getPrototypeOf(handle);
    await handle.close();
    const real = prototype.sync;
    let calls = 0;
    prototype.sync = function (...parameters: unknown[]) {
      calls += 1;
      return real.apply(this, parameters);
    };
    try {
      const folderSync = await FolderSync.open(folder());
      const first = folderSync.sync();
      await new Promise(setImmediate);
      await Promise.all([first, ...Array.from({ length: 20 }, () => folderSync.sync())]);
      await folderSync.sync();
      await folderSync.close();
      expect(calls).to.equal(3);
    } finally {
      prototype.sync = real;
    }
  });

  it('tells everybody whose fsync failed', async () => {
    const folderSync = await FolderSync.open(folder());
    await folderSync.close();
    const outcomes = await Promise.allSettled([folderSync.sync(), folderSync.sync()]);
    expect(outcomes.map((outcome) => outcome.status)).to.deep.equal(['rejected', 'rejected']);
  });
});
