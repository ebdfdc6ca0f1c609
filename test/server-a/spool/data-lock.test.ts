import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { DataLock } from '../../../server-a/spool/data-lock.ts';
import { codeOf, useTemporaryFolder } from '../tasks/support.ts';

const HOLDER = new URL('./fixtures/lock-holder.js', import.meta.url);

describe('data lock', () => {
  const folder = useTemporaryFolder();

  async function startHolder(): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['--expose-gc', HOLDER.pathname, folder()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    return child;
  }

  it('refuses a second process and names the owner, even after the lock object could be garbage-collected', async () => {
    const child = await startHolder();
    try {
      const pattern = new RegExp(`The folder .* is in use by process ${child.pid} on .+ since 20`);
      expect(() => DataLock.take(folder())).to.throw(pattern);
      expect(await codeOf(() => DataLock.take(folder()))).to.equal('BAD_REQUEST');
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  it('is free after its owner is killed', async () => {
    const child = await startHolder();
    child.kill('SIGKILL');
    await once(child, 'exit');
    DataLock.take(folder()).release();
  });

  it('refuses a folder that cannot be written', async () => {
    await mkdir(join(folder(), 'lock.db'));
    expect(() => DataLock.take(folder())).to.throw('Expected a folder that can be written for --data-dir, received');
  });

  it('excludes the same process, too, until it is released', async () => {
    const lock = DataLock.take(folder());
    expect(await codeOf(() => DataLock.take(folder()))).to.equal('BAD_REQUEST');
    lock.release();
    lock.release();
    DataLock.take(folder()).release();
  });
});
