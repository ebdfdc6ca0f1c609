import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import type { StoredOutput } from '../../server-a/dispatch/contract.ts';
import type { Tasks } from '../../server-a/tasks/tasks.ts';
import { type Fixture, jpeg, startFixture } from '../server-a/protocols/http/http-fixture.ts';
import { readInput, type TestDispatcher } from '../server-a/tasks/support.ts';
import { runCommand } from '../support/command-in-process.ts';
import { type Ended, runDarkroom } from '../support/command-line.ts';

describe('client commands and the real Server A', function () {
  this.timeout(180_000);

  let fixture: Fixture;
  let folder: string;

  beforeEach(async () => {
    fixture = await startFixture({ maxQueued: 2, apiKeys: ['secret'] });
    folder = await mkdtemp(join(tmpdir(), 'darkroom-real-'));
  });

  afterEach(async () => {
    await fixture.stop();
    await rm(folder, { recursive: true });
  });

  function run(...words: string[]): Promise<Ended> {
    return runCommand(words, { folder, environment: environment() });
  }

  function environment(): Record<string, string> {
    return { DARKROOM_SERVER: fixture.address, DARKROOM_API_KEY: 'secret' };
  }

  it('upload, save and show more pictures than the queue holds at once', async () => {
    workOn(fixture.tasks);
    const picture = await jpeg(40, 30);
    for (const name of ['a.jpg', 'b.jpg', 'c.jpeg', 'd.jpg', 'e.jpg', 'f.jpg'])
      await writeFile(join(folder, name), picture);
    const words = ['upload', '.', '--scale', '.5', '--no-classify', '--jobs', '6', '-o', 'out'];
    const { code, stdout, stderr } = await runDarkroom(words, { folder, environment: environment() });
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout.trimEnd().split('\n')).to.have.length(6);
    const { width, height, format } = await sharp(await readFile(join(folder, 'out/c.jpeg'))).metadata();
    expect({ width, height, format }).to.deep.equal({ width: 20, height: 15, format: 'jpeg' });
    const id = stdout.split('  ')[1] ?? '';
    expect((await run('status', id)).stdout).to.equal(`${id}  completed  resize 20×15\n`);
    expect(await run('result', id, '-o', 'again.jpg')).to.include({ code: 0, stderr: '' });
    expect(await readFile(join(folder, 'again.jpg'))).to.deep.equal(await readFile(join(folder, 'out/a.jpg')));
  });

  it('tell the server the names of files, in any script', async () => {
    for (const name of ['a cat.jpg', '貓"%20.jpg']) {
      await writeFile(join(folder, name), await jpeg());
      const { stdout } = await run('upload', name, '--circle', '16', '--json');
      const { task } = JSON.parse(stdout);
      expect(task.input.filename).to.equal(name);
      await fixture.tasks.cancel(task.task_id);
    }
  });

  it('cancel a waiting task, then remove it', async () => {
    await writeFile(join(folder, 'a.jpg'), await jpeg());
    const { stdout } = await run('upload', 'a.jpg', '--circle', '16');
    const id = stdout.split('  ')[1] ?? '';
    expect((await run('cancel', id)).stdout).to.equal(`${id}  canceled\n`);
    expect(await run('status', id, '--wait')).to.include({ code: 1 });
    expect((await run('cancel', id)).stdout).to.equal(`${id}  forgotten\n`);
    expect((await run('status', id)).stderr).to.match(/^darkroom: [^\n]*\n$/);
  });

  it("print the server's own message for a wrong key, a wrong field and a file that is not a picture", async () => {
    await writeFile(join(folder, 'a.jpg'), await jpeg());
    await writeFile(join(folder, 'text.jpg'), 'no picture');
    const lines = [
      [['upload', 'a.jpg', '--api-key', 'wrong'], 'UNAUTHENTICATED'],
      [['upload', 'a.jpg', '--scale', '11'], 'BAD_REQUEST'],
      [['upload', 'text.jpg'], 'UNSUPPORTED_IMAGE'],
    ] as const;
    for (const [words, reason] of lines) {
      const { code, stdout, stderr } = await run(...words);
      expect([code, stdout], reason).to.deep.equal([1, '']);
      expect(stderr).to.match(new RegExp(`^\\w+\\.jpg {2}[^\\n]+ \\(${reason}\\)\\n$`));
    }
  });
});

/** Completes each task with a resize by a half, like the dispatcher with a Server B. */
function workOn(tasks: Tasks<TestDispatcher>): void {
  const work = async (id: string): Promise<void> => {
    const job = await tasks.records.begin(id);
    if (job === null) return;
    const picture = await sharp(await readInput(tasks, job))
      .resize(job.header.width / 2, job.header.height / 2)
      .toBuffer();
    const file = await tasks.records.createOutput(job, 'resize');
    await file.write(picture);
    const shape = { format: 'jpeg', width: job.header.width / 2, height: job.header.height / 2, frames: 1 } as const;
    const output: StoredOutput = {
      header: { kind: 'picture', name: 'resize', operation: 'resize', ...shape, bytes: picture.length },
      sha256: await file.commit(),
    };
    await tasks.records.complete(job, [output], {});
  };
  tasks.dispatcher.target = { enqueue: (id) => void work(id), cancel: () => undefined };
}
