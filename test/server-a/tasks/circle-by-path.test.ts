import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { circlePath } from '../../../server-a/tasks/circle-by-path.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { beginJob, codeOf, failed, forever, makePicture, storeOutput, useTasks } from './support.ts';

describe('circle by path', () => {
  const { open, pictures } = useTasks();
  let root: string;
  let cat: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'darkroom-root-'));
    cat = join(root, 'cat.tar.jpg');
    await writeFile(cat, await makePicture());
  });
  afterEach(() => rm(root, { recursive: true }));

  /** Acts like the dispatcher: completes the next task with these bytes, or fails its circle. */
  async function completeNext(tasks: Tasks, bytes: Buffer | null) {
    while (tasks.records.waiting().length === 0) await sleep(2);
    const job = await beginJob(tasks, tasks.records.waiting()[0]?.id ?? '');
    const output = bytes === null ? failed('circle', 'late') : await storeOutput(tasks, job, bytes, 'circle');
    await tasks.records.complete(job, [output], {});
    return job;
  }

  it('writes the circle to the folder of the picture, and returns its path and size', async () => {
    const tasks = await open();
    const answer = circlePath(tasks, root, { path: cat, size: 200 }, forever);
    while (tasks.records.waiting().length === 0) await sleep(2);
    expect(tasks.get(tasks.records.waiting()[0]?.id ?? '').input.filename).to.equal('cat.tar.jpg');
    const job = await completeNext(tasks, Buffer.from('a circle'));
    expect(job.specs).to.deep.equal([{ name: 'circle', operation: 'circle', size: 200, format: 'png' }]);
    const path = join(root, 'cat.tar_processed.png');
    expect(await answer).to.deep.equal({ status: true, path, size: 200 });
    expect(await readFile(path, 'utf8')).to.equal('a circle');
    expect((await readdir(root)).sort()).to.deep.equal(['cat.tar.jpg', 'cat.tar_processed.png']);
  });

  it('forgets its task after any end', async () => {
    const tasks = await open();
    const written = circlePath(tasks, root, { path: cat, size: 9 }, forever);
    const completed = await completeNext(tasks, Buffer.from('a circle'));
    await written;
    const refused = codeOf(circlePath(tasks, root, { path: cat, size: 9 }, forever));
    const late = await completeNext(tasks, null);
    expect(await refused).to.equal('TIMEOUT');
    for (const { id } of [completed, late]) expect(await codeOf(() => tasks.get(id))).to.equal('TASK_NOT_FOUND');
    expect([await pictures(), tasks.counts().spool_bytes]).to.deep.equal([[], 0]);
  });

  it('uses 256 for a size of 0 or less', async () => {
    const tasks = await open();
    for (const size of [0, -7]) {
      const answer = circlePath(tasks, root, { path: cat, size }, forever);
      const job = await completeNext(tasks, Buffer.from('a circle'));
      expect(job.specs[0]).to.include({ size: 256 });
      expect((await answer).size).to.equal(256);
    }
  });

  it('gives status false and the requested path for a folder, an empty path and a size that cannot be made', async () => {
    const tasks = await open({ maxSide: 50 });
    await mkdir(join(root, 'album'));
    const unmade = { status: false, size: 0 };
    for (const path of [join(root, 'album'), `${root}/album/`, root, 'album', '.', '']) {
      expect(await circlePath(tasks, root, { path, size: 9 }, forever)).to.deep.equal({ ...unmade, path });
    }
    for (const size of [51, 16_385, 2 ** 31 - 1]) {
      expect(await circlePath(tasks, root, { path: cat, size }, forever)).to.deep.equal({ ...unmade, path: cat });
    }
    // No circle of this picture fits in Server B's memory.
    tasks.dispatcher.target = { memoryBytes: 1000, enqueue: () => undefined, cancel: () => undefined };
    const heavy = await circlePath(tasks, root, { path: cat, size: 9 }, forever);
    expect(heavy).to.deep.equal({ ...unmade, path: cat });
    expect([await pictures(), tasks.counts().spool_bytes]).to.deep.equal([[], 0]);
    expect((await readdir(root)).sort()).to.deep.equal(['album', 'cat.tar.jpg']);
  });

  it('returns status false and no path for a missing file', async () => {
    const tasks = await open();
    const answer = await circlePath(tasks, root, { path: join(root, 'dog.jpg'), size: 9 }, forever);
    expect(answer).to.deep.equal({ status: false, path: '', size: 0 });
  });

  it('returns status false and the requested path for a file that is not a picture', async () => {
    const tasks = await open();
    const picture = await makePicture();
    const cases: Readonly<Record<string, Buffer>> = {
      'empty.jpg': Buffer.alloc(0),
      'text.jpg': Buffer.from('no picture'),
      'cut.png': picture.subarray(0, 20),
    };
    for (const [name, bytes] of Object.entries(cases)) {
      await writeFile(join(root, name), bytes);
      const path = `${root}/./${name}`;
      const answer = await circlePath(tasks, root, { path, size: 9 }, forever);
      expect(answer, name).to.deep.equal({ status: false, path, size: 0 });
    }
    const answer = circlePath(tasks, root, { path: cat, size: 9 }, forever);
    while (tasks.records.waiting().length === 0) await sleep(2);
    const job = await beginJob(tasks, tasks.records.waiting()[0]?.id ?? '');
    await tasks.records.fail(job, { code: 'IMAGE_CORRUPT', message: 'no' });
    expect(await answer).to.deep.equal({ status: false, path: cat, size: 0 });
    expect(await pictures()).to.deep.equal([]);
  });

  it('refuses paths outside the root, existing or not, and every path without a root', async () => {
    const tasks = await open();
    await symlink('/etc/hostname', join(root, 'link.jpg'));
    for (const path of ['/etc/hostname', '/etc/not-there', '../x.jpg', 'link.jpg', 'a\0.jpg']) {
      expect(await codeOf(circlePath(tasks, root, { path, size: 9 }, forever)), path).to.equal('PATH_NOT_ALLOWED');
    }
    for (const path of [cat, '/etc/not-there', '']) {
      expect(await codeOf(circlePath(tasks, undefined, { path, size: 9 }, forever))).to.equal('PATH_NOT_ALLOWED');
    }
  });

  it('fails with the error of the task or of the upload', async () => {
    const tasks = await open({ maxSide: 50 });
    const answer = codeOf(circlePath(tasks, root, { path: cat, size: 9 }, forever));
    await completeNext(tasks, null);
    expect(await answer).to.equal('TIMEOUT');
    tasks.drain();
    expect(await codeOf(circlePath(tasks, root, { path: cat, size: 9 }, forever))).to.equal('DRAINING');
    expect(await readdir(root)).to.deep.equal(['cat.tar.jpg']);
  });

  it('cancels and forgets its task when the signal aborts, and fails when the tasks close', async () => {
    const tasks = await open();
    const stop = new AbortController();
    const gone = codeOf(circlePath(tasks, root, { path: cat, size: 9 }, stop.signal));
    while (tasks.records.waiting().length === 0) await sleep(2);
    const id = tasks.records.waiting()[0]?.id ?? '';
    stop.abort(new Error('gone'));
    expect(await gone).to.equal('gone');
    expect(await codeOf(() => tasks.get(id))).to.equal('TASK_NOT_FOUND');
    expect(await pictures()).to.deep.equal([]);
    const cut = codeOf(circlePath(tasks, root, { path: cat, size: 9 }, forever));
    while (tasks.records.waiting().length === 0) await sleep(2);
    await tasks.close();
    expect(await cut).to.equal('DRAINING');
  });
});
