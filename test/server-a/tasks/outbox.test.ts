import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { type PictureServer, startPictureServer } from '../../support/picture-server.ts';
import { beginJob, CLASSIFY, codeOf, forever, LABELS, makePicture, useTasks } from './support.ts';

const CHILD = new URL('./fixtures/subscribed-and-killed.js', import.meta.url);
/** Not URLs, so their tasks end at once. */
const BAD = ['one', 'two', 'three'];

describe('outbox', () => {
  const { folder, open } = useTasks();

  /** The URLs of the next `count` task endings for the audience. */
  async function told(tasks: Tasks, count: number, audience = 'zeromq', acknowledge = true): Promise<unknown[]> {
    const stop = new AbortController();
    const urls: unknown[] = [];
    for await (const { task_id, input, status } of tasks.endings(audience, stop.signal)) {
      expect(status).to.equal('failed');
      urls.push(input.source_url);
      if (acknowledge) await tasks.acknowledge(task_id);
      if (urls.length === count) stop.abort();
    }
    return urls;
  }

  it('yields each task ending as it happens', async () => {
    const tasks = await open({ fetchAtOnce: 1 });
    const telling = told(tasks, 6);
    await tasks.submitUrls(BAD, [CLASSIFY], 'zeromq');
    await tasks.submitUrls(BAD, [CLASSIFY], 'zeromq');
    await tasks.submitUrls(BAD, [CLASSIFY]);
    await tasks.submitUrls(BAD, [CLASSIFY], 'another');
    expect(await telling).to.deep.equal([...BAD, ...BAD]);
    expect(await told(tasks, 3, 'another')).to.deep.equal(BAD);
  });

  it('yields endings of every kind', async () => {
    const picture = await makePicture();
    const server: PictureServer = await startPictureServer(picture);
    const tasks = await open({ fetchAtOnce: 1 });
    const [first, second] = await tasks.submitUrls(
      [`${server.address}/a.png`, `${server.address}/hang`],
      [CLASSIFY],
      'zeromq',
    );
    await tasks.cancel(second?.task_id ?? '');
    while (tasks.records.waiting().length === 0) await new Promise(setImmediate);
    await tasks.records.complete(await beginJob(tasks, first?.task_id ?? ''), [LABELS], {});
    const seen: string[] = [];
    for await (const { status } of tasks.endings('zeromq', forever)) if (seen.push(status) === 2) break;
    expect(seen).to.deep.equal(['canceled', 'completed']);
    await server.close();
  });

  it('yields earlier endings, oldest first, also after a restart', async () => {
    const tasks = await open({ fetchAtOnce: 1 });
    const listed = await tasks.submitUrls(BAD, [CLASSIFY], 'zeromq');
    for (const { task_id } of listed) await tasks.wait(task_id, 10_000, forever);
    await tasks.close();
    const again = await open();
    expect(await told(again, 3)).to.deep.equal(BAD);
    await again.close();
    const third = await open();
    const telling = told(third, 1);
    await third.submitUrls(['four'], [CLASSIFY], 'zeromq');
    expect(await telling).to.deep.equal(['four']);
  });

  it('yields unacknowledged endings again after a restart, but not before', async () => {
    const tasks = await open({ fetchAtOnce: 1 });
    await tasks.submitUrls(BAD, [CLASSIFY], 'zeromq');
    expect(await told(tasks, 2, 'zeromq', false)).to.deep.equal(['one', 'two']);
    expect(await told(tasks, 1)).to.deep.equal(['three']);
    await tasks.close();
    expect(await told(await open(), 2)).to.deep.equal(['one', 'two']);
  });

  it('stops when the signal aborts or the tasks close, and a task cannot be forgotten before its end is acknowledged', async () => {
    const tasks = await open();
    const stop = new AbortController();
    const first = tasks.endings('zeromq', stop.signal).next();
    stop.abort();
    expect(await first).to.deep.equal({ done: true, value: undefined });
    const [listed] = await tasks.submitUrls(['one'], [CLASSIFY], 'zeromq');
    const id = listed?.task_id ?? '';
    await tasks.wait(id, 10_000, forever);
    expect(await codeOf(tasks.forget(id))).to.equal('NOT_READY');
    const endings = tasks.endings('zeromq', forever);
    expect((await endings.next()).value?.task_id).to.equal(id);
    await tasks.acknowledge(id);
    await tasks.forget(id);
    const last = endings.next();
    await tasks.close();
    expect(await last).to.deep.equal({ done: true, value: undefined });
  });

  it('yields every ending at least once across restarts after kill -9, and at most once per process', async function () {
    this.timeout(120_000);
    const listed = new Set<string>();
    const heard = new Set<string>();
    for (let life = 0; life < 3; life += 1) {
      const child = spawn(process.execPath, [CHILD.pathname, folder(), String(life)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 150));
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
      const lines = said.split('\n').slice(0, -1);
      const now = lines.filter((line) => line.startsWith('ended ')).map((line) => line.slice(6));
      expect(new Set(now).size, 'once per process').to.equal(now.length);
      for (const id of now) heard.add(id);
      for (const line of lines) if (line.startsWith('listed ')) listed.add(line.slice(7));
    }
    const tasks = await open({ maxListed: 100_000 });
    const owed = [...listed].filter((id) => !heard.has(id));
    const stop = new AbortController();
    const missing = new Set(owed);
    if (missing.size > 0) {
      for await (const { task_id } of tasks.endings('zeromq', stop.signal)) {
        missing.delete(task_id);
        if (missing.size === 0) stop.abort();
      }
    }
    expect(listed.size).to.be.greaterThan(50);
  });
});
