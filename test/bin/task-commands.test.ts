import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { taskSchema } from '../../shared/task.ts';
import { runCommand } from '../support/command-in-process.ts';
import { type Ended, runDarkroom } from '../support/command-line.ts';
import { FakeServerA } from '../support/fake-server-a.ts';

const UNKNOWN = 'V1StGXR8_Z5jdHi6B-myT';

describe('commands for one task', function () {
  this.timeout(180_000);

  let server: FakeServerA;
  let folder: string;

  beforeEach(async () => {
    server = await FakeServerA.start();
    folder = await mkdtemp(join(tmpdir(), 'darkroom-task-'));
    await writeFile(join(folder, 'cat.jpg'), 'meow');
  });

  afterEach(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  function run(...words: string[]): Promise<Ended> {
    return runCommand(words, { folder, environment: { DARKROOM_SERVER: server.url } });
  }

  /** The same as a process. */
  function runProcess(...words: string[]): Promise<Ended> {
    return runDarkroom(words, { folder, environment: { DARKROOM_SERVER: server.url } });
  }

  /** The id of a new task that resizes and cuts. */
  async function task(): Promise<string> {
    const query = new URLSearchParams({ scale_factor: '1', circle: '8', classify: 'false' });
    const answer = await fetch(`${server.url}/upload?${query}`, { method: 'POST', body: 'meow' });
    return taskSchema.parse(await answer.json()).task_id;
  }

  it('accept an id that begins with a hyphen', async () => {
    server.idPrefix = '--wait-';
    const id = await task();
    expect((await run('status', '--wait', id)).stdout).to.match(new RegExp(`^${id} {2}completed `));
    expect(await run('result', id, 'circle', '-o', 'circle.png')).to.include({ code: 0, stderr: '' });
    expect((await run('cancel', id)).stdout).to.equal(`${id}  forgotten\n`);
  });

  describe('darkroom status', () => {
    it('shows a task as it is, and with --wait after its end', async () => {
      server.taskMs = Number.POSITIVE_INFINITY;
      const id = await task();
      expect(await run('status', id)).to.deep.equal({ code: 0, stdout: `${id}  processing\n`, stderr: '' });
      const waits = server.waits();
      const ended = run('status', id, '--wait');
      await waits;
      server.endTasks();
      const line = `${id}  completed  resize 4×3  circle 4×3\n`;
      expect(await ended).to.deep.equal({ code: 0, stdout: line, stderr: '' });
    });

    it('prints the record as one JSON line', async () => {
      const id = await task();
      const { stdout } = await run('status', id, '--json');
      expect(stdout).to.match(/^[^\n]+\n$/);
      expect(JSON.parse(stdout)).to.include({ task_id: id, status: 'completed', attempts: 1 });
    });

    it('exits with 1 for a failed and for an unknown task', async () => {
      const error = { code: 'IMAGE_CORRUPT', message: 'The picture breaks off' } as const;
      server.failures = { resize: error, circle: error };
      const failed = await runProcess('status', await task());
      expect(failed.code).to.equal(1);
      expect(failed.stdout).to.match(/ {2}failed {2}.*The picture breaks off \(IMAGE_CORRUPT\)\n$/);
      expect(await run('status', UNKNOWN)).to.deep.equal({
        code: 1,
        stdout: '',
        stderr: `darkroom: No task ${UNKNOWN}\n`,
      });
    });
  });

  describe('darkroom result', () => {
    it('saves the first picture, or the named one', async () => {
      const id = await task();
      expect((await runProcess('result', id, '-o', 'first.jpg')).code).to.equal(0);
      expect((await run('result', id, 'circle', '-o', 'circle.png')).code).to.equal(0);
      expect(await readFile(join(folder, 'first.jpg'), 'utf8')).to.equal('meow');
      expect(await readFile(join(folder, 'circle.png'), 'utf8')).to.equal('meow');
    });

    it('leaves no file when the output or the folder does not exist', async () => {
      const id = await task();
      expect(await run('result', id, 'classify', '-o', 'labels')).to.include({
        code: 1,
        stderr: 'darkroom: Not yet\n',
      });
      expect((await run('result', id, '-o', 'missing/first.jpg')).stderr).to.match(/^darkroom: ENOENT[^\n]*\n$/);
      expect(await readdir(folder)).to.deep.equal(['cat.jpg']);
    });
  });

  describe('darkroom cancel', () => {
    it('cancels a running task, and removes an ended one', async () => {
      server.taskMs = Number.POSITIVE_INFINITY;
      const id = await task();
      expect((await run('cancel', id)).stdout).to.equal(`${id}  canceled\n`);
      expect((await run('cancel', id)).stdout).to.equal(`${id}  forgotten\n`);
      expect(await run('cancel', id)).to.include({ code: 1, stderr: `darkroom: No task ${id}\n` });
    });
  });
});
