import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { childrenOf, eventually, isRunning } from '../support/processes.ts';
import { repositoryPath } from '../support/repository.ts';
import { HTTP_ONLY } from '../support/service.ts';

describe('npm start', () => {
  it('ends the service on SIGTERM', async function () {
    this.timeout(180_000);
    const folder = await mkdtemp(join(tmpdir(), 'darkroom-npm-'));
    const flags = [
      '-i',
      '127.0.0.1',
      '-p',
      '0',
      '--data-dir',
      folder,
      '--no-model-fetch',
      '--threads',
      '1',
      ...HTTP_ONLY,
    ];
    const npm = spawn('npm', ['start', '--', ...flags], {
      cwd: repositoryPath('.'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(npm, 'exit');
    let said = '';
    npm.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
    await eventually('the greeting', async () => said.includes('curl ') || undefined);
    const all = await descendantsOf(npm.pid ?? 0);
    // Server A and its Server B, at least.
    expect(all.length).to.be.greaterThan(1);
    try {
      npm.kill('SIGTERM');
      await ended;
      await eventually('the end of every process', async () => {
        const running = await Promise.all(all.map(isRunning));
        return running.every((isOne) => !isOne) || undefined;
      });
    } finally {
      for (const pid of all) if (await isRunning(pid)) process.kill(pid, 'SIGKILL');
    }
    await rm(folder, { recursive: true });
  });
});

async function descendantsOf(pid: number): Promise<number[]> {
  const children = await childrenOf(pid);
  return [...children, ...(await Promise.all(children.map(descendantsOf))).flat()];
}
