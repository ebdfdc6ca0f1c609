import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { repositoryPath } from '../support/repository.ts';

describe('the process of Server B', () => {
  let folder: string;
  let child: ChildProcess;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-main-'));
    const settings = { PORT: '0', DATA_DIR: folder, THREADS: '1', LOG_LEVEL: 'silent' };
    const variables = Object.entries(settings).map(([name, value]) => [`DARKROOM_B_${name}`, value]);
    const env = { PATH: process.env['PATH'], ...Object.fromEntries(variables) };
    child = fork(repositoryPath('dist/server-b/main.js'), [], { env });
  });

  afterEach(async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  it('ends when its supervisor goes', async () => {
    const ended = once(child, 'exit');
    await once(child, 'message');
    child.disconnect();
    expect(await ended).to.deep.equal([null, 'SIGKILL']);
  });

  it('ends when its supervisor goes before it has started', async () => {
    const ended = once(child, 'exit');
    child.disconnect();
    expect(await ended).to.deep.equal([null, 'SIGKILL']);
  });
});
