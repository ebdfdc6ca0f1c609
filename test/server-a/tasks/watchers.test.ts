import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { Watchers } from '../../../server-a/tasks/watchers.ts';
import type { Task, TaskStatus } from '../../../shared/task.ts';

function task(status: TaskStatus, attempts = 0): Task {
  return {
    task_id: 'V1StGXR8_Z5jdHi6B-myT',
    status,
    result: null,
    input: {
      filename: null,
      source_url: null,
      format: 'png',
      width: 1,
      height: 1,
      frames: 1,
      pages: 1,
      bytes: 1,
      sha256: '0'.repeat(64),
      original: null,
    },
    outputs: [],
    error: null,
    attempts,
    created_at: '',
    started_at: null,
    finished_at: null,
    expires_at: null,
    timings: {},
  };
}

const ID = task('pending').task_id;
const read = () => task('pending');

async function collect(watch: AsyncGenerator<Task>): Promise<TaskStatus[]> {
  const seen: TaskStatus[] = [];
  for await (const { status } of watch) seen.push(status);
  return seen;
}

describe('watchers', () => {
  it('yield the record, then each change, and stop at the end of the task', async () => {
    const watchers = new Watchers();
    const { signal } = new AbortController();
    const both = Promise.all([collect(watchers.watch(ID, read, signal)), collect(watchers.watch(ID, read, signal))]);
    expect(watchers.size).to.equal(1);
    for (const status of ['processing', 'pending', 'processing', 'completed'] as const) watchers.notify(task(status));
    const expected = ['pending', 'processing', 'pending', 'processing', 'completed'];
    expect(await both).to.deep.equal([expected, expected]);
    expect(watchers.size).to.equal(0);
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });

  it('end at once if all watches were ended before', async () => {
    const watchers = new Watchers();
    watchers.close();
    expect(await collect(watchers.watch(ID, read, new AbortController().signal))).to.deep.equal([]);
    expect(watchers.size).to.equal(0);
  });

  it('stop at an abort, before and while waiting, and are removed', async () => {
    const watchers = new Watchers();
    const controller = new AbortController();
    const seen = collect(watchers.watch(ID, read, controller.signal));
    await new Promise(setImmediate);
    controller.abort();
    expect(await seen).to.deep.equal(['pending']);
    expect(await collect(watchers.watch(ID, read, controller.signal))).to.deep.equal([]);
    expect(watchers.size).to.equal(0);
    expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
  });

  it('are removed when the reader stops or the record cannot be read', async () => {
    const watchers = new Watchers();
    const { signal } = new AbortController();
    for await (const _ of watchers.watch(ID, read, signal)) break;
    const unreadable = watchers.watch(
      ID,
      () => {
        throw new Error('no such task');
      },
      signal,
    );
    expect(await unreadable.next().catch((error: Error) => error.message)).to.equal('no such task');
    expect(watchers.size).to.equal(0);
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });

  it('keep only the newest changes for a slow reader, and always the end', async () => {
    const watchers = new Watchers();
    const watch = watchers.watch(ID, read, new AbortController().signal);
    await watch.next();
    for (let attempt = 1; attempt <= 1000; attempt += 1) watchers.notify(task('processing', attempt));
    watchers.notify(task('failed', 1000));
    const seen = await collect(watch);
    expect(seen.length).to.be.at.most(16);
    expect(seen.at(-1)).to.equal('failed');
  });

  it('end at close', async () => {
    const watchers = new Watchers();
    const seen = collect(watchers.watch(ID, read, new AbortController().signal));
    await new Promise(setImmediate);
    watchers.close();
    expect(await seen).to.deep.equal(['pending']);
  });

  describe('a wait for the end', () => {
    it('gets the end, and no other change', async () => {
      const watchers = new Watchers();
      const { ended } = watchers.awaitEnd(ID);
      expect([watchers.isWatched(ID, 'other'), watchers.isWatched(ID, 'end')]).to.deep.equal([false, true]);
      for (const status of ['processing', 'canceled', 'failed'] as const) watchers.notify(task(status));
      expect((await ended)?.status).to.equal('canceled');
      expect(watchers.size).to.equal(0);
    });

    it('leaves watches of the same task alone', async () => {
      const watchers = new Watchers();
      const { stop } = watchers.awaitEnd(ID);
      const seen = collect(watchers.watch(ID, read, new AbortController().signal));
      expect(watchers.isWatched(ID, 'other')).to.equal(true);
      stop();
      watchers.notify(task('failed'));
      expect(await seen).to.deep.equal(['pending', 'failed']);
    });

    it('gets null when it is stopped, at close, and after close', async () => {
      const watchers = new Watchers();
      const [stopped, closed] = [watchers.awaitEnd(ID), watchers.awaitEnd(ID)];
      stopped.stop();
      watchers.close();
      for (const { ended } of [stopped, closed, watchers.awaitEnd(ID)]) expect(await ended).to.equal(null);
      expect(watchers.size).to.equal(0);
    });
  });
});
