import { type ChildProcess, fork } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { childMessageSchema } from '../../server-b/child-messages.ts';
import { repositoryPath } from '../support/repository.ts';

describe('the process of Server B', function () {
  this.timeout(180_000);

  let folder: string;
  let child: ChildProcess;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-main-'));
  });

  function start(changes: Readonly<Record<string, string>> = {}): void {
    const settings = { PORT: '0', DATA_DIR: folder, THREADS: '1', LOG_LEVEL: 'silent', ...changes };
    const variables = Object.entries(settings).map(([name, value]) => [`DARKROOM_B_${name}`, value]);
    const env = { PATH: process.env['PATH'], ...Object.fromEntries(variables) };
    child = fork(repositoryPath('dist/server-b/main.js'), [], { env });
  }

  afterEach(async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  /** The kinds of the process's messages, up to the first for which `isLast` is true. */
  async function seen(isLast: (kind: string, count: number) => boolean): Promise<string[]> {
    const kinds: string[] = [];
    for await (const [message] of on(child, 'message')) {
      const { kind } = childMessageSchema.parse(message);
      if (isLast(kind, kinds.push(kind))) break;
    }
    return kinds;
  }

  it('sends beats while its threads take long to start', async () => {
    const endless = join(folder, 'endless.mjs');
    await writeFile(endless, 'await new Promise((resolve) => setTimeout(resolve, 3_600_000));');
    start({ OPERATIONS_MODULE: endless });
    expect(await seen((_kind, count) => count === 3)).to.deep.equal(['beat', 'beat', 'beat']);
  });

  it('ends when its supervisor has ended', async () => {
    start();
    const ended = once(child, 'exit');
    await seen((kind) => kind === 'listening');
    child.disconnect();
    expect(await ended).to.deep.equal([null, 'SIGKILL']);
  });

  it('ends when its supervisor has ended during its start', async () => {
    start();
    const ended = once(child, 'exit');
    child.disconnect();
    expect(await ended).to.deep.equal([null, 'SIGKILL']);
  });
});
