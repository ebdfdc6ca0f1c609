import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { readPicture } from '../../support/stored-pictures.ts';
import { useTasks } from './support.ts';

const CHILD = new URL('./fixtures/busy-counter.js', import.meta.url);
const ROUNDS = 4;

/** Starts a process that submits pictures and kills it `milliseconds` after its first id. Resolves with all its ids. */
async function submitUntilKilled(folder: string, milliseconds: number): Promise<string[]> {
  const child: ChildProcess = spawn(process.execPath, [CHILD.pathname, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  if (child.stdout !== null) await once(child.stdout, 'data');
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
  // The last line may be incomplete, so it does not count.
  return said.split('\n').slice(0, -1);
}

describe('kill -9', () => {
  const { folder, open, pictures } = useTasks();

  /** The only file that a task owns, with the expected hash. */
  async function ownedFile(tasks: Tasks, id: string): Promise<{ name: string; sha256: string }> {
    const { status, attempts, input } = tasks.get(id);
    if (status === 'pending') return { name: `${id}.input`, sha256: input.sha256 ?? '' };
    const result = await tasks.result(id);
    return { name: `${id}.${attempts}.resize`, sha256: result.kind === 'picture' ? result.sha256 : '' };
  }

  it('loses no accepted task, and leaves no file without an owner, at any moment', async function () {
    this.timeout(120_000);
    const accepted: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      accepted.push(...(await submitUntilKilled(folder(), Math.random() * 150)));
      const tasks = await open({ maxQueued: 100_000 });
      const spool = await pictures();
      for (const id of accepted) expect(spool).to.include((await ownedFile(tasks, id)).name);
      for (const name of spool) {
        const [id = ''] = name.split('.');
        const owned = await ownedFile(tasks, id);
        expect(name).to.equal(owned.name);
        const bytes = await readPicture(folder(), name);
        expect(createHash('sha256').update(bytes).digest('hex')).to.equal(owned.sha256);
      }
      await tasks.close();
    }
    expect(accepted.length).to.be.greaterThan(ROUNDS);
  });
});
