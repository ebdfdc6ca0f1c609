import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { taskSchema } from '../../../shared/task.ts';
import { type PictureServer, startPictureServer } from '../../support/picture-server.ts';
import {
  beginJob,
  CLASSIFY,
  codeOf,
  forever,
  LABELS,
  makePicture,
  RESIZE,
  readInput,
  receivePicture,
  submitPicture,
  useTasks,
} from './support.ts';

describe('fetching', () => {
  const { folder, open, pictures } = useTasks();
  let picture: Buffer;
  let server: PictureServer;

  beforeEach(async () => {
    picture = await makePicture();
    server = await startPictureServer(picture);
  });
  afterEach(() => server.close());

  const url = (path: string) => `${server.address}${path}`;
  const urls = (count: number, path = '/held') => Array.from({ length: count }, (_, index) => url(`${path}${index}`));
  const submit = (tasks: Tasks, list: readonly string[]) => tasks.submitUrls(list, [CLASSIFY]);

  async function until(what: string, check: () => boolean): Promise<void> {
    for (let look = 0; look < 1000; look += 1) {
      if (check()) return;
      await sleep(5);
    }
    throw new Error(`Expected ${what}`);
  }

  const isReady = (tasks: Tasks, id: string) => tasks.records.waiting().some((waiting) => waiting.id === id);

  it('makes a task for each URL, in order, and two for a URL that is listed twice', async () => {
    const tasks = await open();
    const list = [url('/b.png'), url('/a.png'), url('/b.png'), 'nothing of the sort', 'http://é\u0000"\'\ud800'];
    const listed = await submit(tasks, list);
    expect(listed.map(({ input }) => input.source_url)).to.deep.equal(list);
    expect(new Set(listed.map(({ task_id }) => task_id)).size).to.equal(list.length);
    for (const task of listed) {
      expect(taskSchema.parse(task)).to.deep.equal(task);
      expect(task.status).to.equal('pending');
      expect(tasks.get(task.task_id).input.source_url).to.equal(task.input.source_url);
    }
    expect(await submit(tasks, [])).to.deep.equal([]);
  });

  it('stores the picture, then passes the task to the dispatcher', async () => {
    const tasks = await open();
    const queued: string[] = [];
    tasks.dispatcher.target = { enqueue: (id) => queued.push(id), cancel: () => undefined };
    const [listed] = await submit(tasks, [url('/cats/my%20cat.png?size=1')]);
    const id = listed?.task_id ?? '';
    await until('the task to be ready', () => queued.includes(id));
    const sha256 = createHash('sha256').update(picture).digest('hex');
    const input = { source_url: url('/cats/my%20cat.png?size=1'), filename: 'my cat.png', format: 'png', sha256 };
    expect(tasks.get(id).input).to.include({ ...input, width: 8, height: 6, bytes: picture.length });
    expect(tasks.get(id).status).to.equal('pending');
    const job = await beginJob(tasks, id);
    expect(await readInput(tasks, job)).to.deep.equal(picture);
    await tasks.records.complete(job, [LABELS], {});
    expect(await pictures()).to.deep.equal([]);
    expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
  });

  it('fails a task whose URL has no picture, with the reason', async () => {
    const tasks = await open({ fetchSeconds: 1 });
    const text = await startPictureServer(Buffer.from('hello'));
    const cases: [string, string][] = [
      ['BAD_REQUEST', 'no URL'],
      ['URL_NOT_ALLOWED', 'ftp://127.0.0.1/a.png'],
      ['SOURCE_ERROR', url('/missing')],
      ['SOURCE_ERROR', 'http://127.0.0.1:9/a.png'],
      ['SOURCE_TIMEOUT', url('/hang')],
      ['UNSUPPORTED_IMAGE', `${text.address}/a.png`],
    ];
    const listed = await submit(
      tasks,
      cases.map(([, source]) => source),
    );
    for (const [index, [code, source]] of cases.entries()) {
      const ended = await tasks.wait(listed[index]?.task_id ?? '', 10_000, forever);
      expect([ended.status, ended.error?.code], source).to.deep.equal(['failed', code]);
    }
    await text.close();
    expect(await pictures()).to.deep.equal([]);
    expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
    expect(await codeOf(tasks.result(listed[2]?.task_id ?? ''))).to.equal('SOURCE_ERROR');
  });

  it('refuses private addresses unless they are allowed', async () => {
    const tasks = await open({ allowPrivateUrls: false });
    const [listed] = await submit(tasks, [url('/a.png')]);
    const ended = await tasks.wait(listed?.task_id ?? '', 10_000, forever);
    expect(ended.error?.code).to.equal('URL_NOT_ALLOWED');
    expect(server.asked).to.deep.equal([]);
  });

  it('fails a task whose picture or output exceeds the limits', async () => {
    const tasks = await open({ maxSide: 50 });
    const [listed] = await tasks.submitUrls(
      [url('/a.png')],
      [{ name: 'resize', operation: 'resize', scale_factor: 10 }],
    );
    const ended = await tasks.wait(listed?.task_id ?? '', 10_000, forever);
    expect(ended.error?.code).to.equal('IMAGE_TOO_LARGE');
    const large = await startPictureServer(Buffer.concat([picture, Buffer.alloc(2 * 1024 * 1024)]));
    const [second] = await submit(tasks, [`${large.address}/a.png`]);
    const refused = await tasks.wait(second?.task_id ?? '', 10_000, forever);
    expect(refused.error?.code).to.equal('PAYLOAD_TOO_LARGE');
    await large.close();
    expect(await pictures()).to.deep.equal([]);
  });

  it('fetches no more URLs at once than allowed, oldest first', async () => {
    const tasks = await open({ fetchAtOnce: 3 });
    const listed = await submit(tasks, urls(20));
    await until('three to be asked for', () => server.underWay === 3);
    server.release();
    await until('all to be ready', () => tasks.records.waiting().length === 20);
    expect(server.mostAtOnce).to.equal(3);
    expect(server.asked.slice(0, 3).sort()).to.deep.equal(['/held0', '/held1', '/held2']);
    expect(server.asked.length).to.equal(20);
    expect(tasks.records.waiting().map(({ id }) => id)).to.deep.equal(listed.map(({ task_id }) => task_id));
  });

  it('waits for room in the queue, and refuses no listed URL', async () => {
    const tasks = await open({ maxQueued: 2, fetchAtOnce: 4 });
    const listed = await submit(tasks, urls(7, '/'));
    expect(await codeOf(receivePicture(tasks))).to.equal('QUEUE_FULL');
    for (let done = 0; done < 7; done += 1) {
      await until('a task to be ready', () => tasks.records.waiting().length > 0);
      expect(tasks.records.waiting().length).to.be.at.most(2);
      const id = tasks.records.waiting()[0]?.id ?? '';
      await tasks.records.complete(await beginJob(tasks, id), [LABELS], {});
    }
    for (const { task_id } of listed) expect(tasks.get(task_id).status).to.equal('completed');
    expect(await codeOf(submitPicture(tasks))).to.equal('none');
  });

  it('waits for room on disk', async () => {
    const tasks = await open({ maxSpoolMb: 1 });
    const kept = await tasks.submit(await receivePicture(tasks), [CLASSIFY], { keep: true });
    const [listed] = await submit(tasks, [url('/a.png')]);
    await sleep(50);
    expect(server.asked).to.deep.equal([]);
    expect(tasks.get(listed?.task_id ?? '').status).to.equal('pending');
    await tasks.cancel(kept.task_id);
    await tasks.forget(kept.task_id);
    await until('the task to be ready', () => isReady(tasks, listed?.task_id ?? ''));
  });

  it('refuses a whole list if too many URLs would wait', async () => {
    const tasks = await open({ maxListed: 5, fetchAtOnce: 1 });
    const hanging = await submit(tasks, urls(3, '/hang'));
    expect(await codeOf(submit(tasks, urls(3)))).to.equal('QUEUE_FULL');
    expect(tasks.counts().pending).to.equal(3);
    await submit(tasks, urls(2, '/hang'));
    for (const { task_id } of hanging) await tasks.cancel(task_id);
    await submit(tasks, urls(3, '/hang'));
    tasks.drain();
    expect(await codeOf(submit(tasks, []))).to.equal('DRAINING');
  });

  it('cancels a task before, during and after its fetch', async () => {
    const tasks = await open({ fetchAtOnce: 1 });
    const [hanging, waiting, ready] = await submit(tasks, [url('/hang'), url('/hang2'), url('/a.png')]);
    await until('the first to be asked for', () => server.asked.length === 1);
    expect((await tasks.cancel(waiting?.task_id ?? '')).status).to.equal('canceled');
    expect((await tasks.cancel(hanging?.task_id ?? '')).status).to.equal('canceled');
    await until('the third to be ready', () => isReady(tasks, ready?.task_id ?? ''));
    await until('the first to be aborted', () => server.underWay === 0);
    expect((await tasks.cancel(ready?.task_id ?? '')).status).to.equal('canceled');
    expect(server.asked).to.deep.equal(['/hang', '/a.png']);
    expect(await pictures()).to.deep.equal([]);
    expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
    await tasks.forget(hanging?.task_id ?? '');
    expect(await codeOf(() => tasks.get(hanging?.task_id ?? ''))).to.equal('TASK_NOT_FOUND');
  });

  it('fetches the remaining URLs after a restart', async () => {
    const tasks = await open({ fetchAtOnce: 1 });
    const [ready, cut, waiting] = await submit(tasks, [url('/a.png'), url('/hang'), url('/b.png')]);
    await until('the second to be asked for', () => server.asked.length === 2);
    await tasks.close();
    expect(tasks.state).to.equal('failed');
    expect(await pictures()).to.deep.equal([`${ready?.task_id}.input`]);
    const again = await open({ fetchAtOnce: 2 });
    await until('the third to be ready', () => isReady(again, waiting?.task_id ?? ''));
    expect(server.asked.slice(2).sort()).to.deep.equal(['/b.png', '/hang']);
    expect(again.get(cut?.task_id ?? '').status).to.equal('pending');
    expect(again.records.waiting().map(({ id }) => id)).to.deep.equal([ready?.task_id, waiting?.task_id]);
  });

  it('fails a listed task whose record is damaged, and fetches the others', async () => {
    const tasks = await open({ fetchAtOnce: 1 });
    const listed = await submit(tasks, urls(3, '/hang'));
    await tasks.close();
    const [first, second, third] = listed.map(({ task_id }) => task_id);
    const database = new DatabaseSync(join(folder(), 'store.db'));
    database.exec(`UPDATE tasks SET source_url = '{no JSON' WHERE id = '${first}'`);
    database.exec(`UPDATE tasks SET source_url = NULL WHERE id = '${second}'`);
    database.exec(`UPDATE tasks SET source_url = '"${url('/a.png')}"' WHERE id = '${third}'`);
    database.close();
    const again = await open({ fetchAtOnce: 1 });
    await until('the last to be ready', () => isReady(again, third ?? ''));
    expect(await codeOf(() => again.get(first ?? ''))).to.equal('INTERNAL');
    expect(again.get(second ?? '').error?.code).to.equal('BAD_REQUEST');
    expect(again.counts().pending).to.equal(1);
  });

  it('stops fetching during a drain', async () => {
    const tasks = await open({ fetchAtOnce: 1 });
    const [first] = await submit(tasks, urls(2, '/hang'));
    await until('the first to be asked for', () => server.asked.length === 1);
    tasks.drain();
    await until('the fetch to be aborted', () => server.underWay === 0);
    await sleep(20);
    expect(server.asked.length).to.equal(1);
    expect(tasks.get(first?.task_id ?? '').status).to.equal('pending');
  });

  it('notifies watchers', async () => {
    const tasks = await open();
    const [listed] = await tasks.submitUrls([url('/held')], [RESIZE]);
    const seen: [string, string | null][] = [];
    for await (const { status, input } of tasks.watch(listed?.task_id ?? '', forever)) {
      seen.push([status, input.format]);
      server.release();
      if (input.format !== null) break;
    }
    expect(seen).to.deep.equal([
      ['pending', null],
      ['pending', 'png'],
    ]);
  });
});
