import { expect } from 'chai';
import type { Job, TaskRecords } from '../../../server-a/dispatch/contract.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { damagePicture, losePicture, readPicture } from '../../support/stored-pictures.ts';
import {
  beginJob,
  codeOf,
  failed,
  LABELS,
  makePicture,
  pictureHeader,
  RESIZE,
  storeOutput,
  submitPicture,
  useSharedTasks,
  useTasks,
} from './support.ts';

const ERROR = { code: 'IMAGE_CORRUPT', message: 'Expected a picture' } as const;

const WINNER = Buffer.from('the winner');

/** The calls of the dispatcher for a job, and the task's status afterwards. */
const MOVES: Record<
  string,
  { move: (records: TaskRecords, job: Job) => Promise<unknown>; took: unknown; status: string }
> = {
  complete: { move: (records, job) => records.complete(job, [LABELS], {}), took: true, status: 'completed' },
  fail: { move: (records, job) => records.fail(job, ERROR), took: true, status: 'failed' },
  release: { move: (records, job) => records.release(job, false), took: true, status: 'pending' },
  strike: { move: (records, job) => records.crashedAlone(job, true), took: 'pending', status: 'pending' },
};

/** Ways to leave `processing`, after which the attempt can no longer change the task. */
const ENDINGS: Record<string, (tasks: Tasks, job: Job) => Promise<unknown>> = {
  completed: async (tasks, job) => tasks.records.complete(job, [await storeOutput(tasks, job, WINNER)], {}),
  failed: (tasks, job) => tasks.records.fail(job, ERROR),
  canceled: (tasks, job) => tasks.cancel(job.id),
  'pending again': (tasks, job) => tasks.records.release(job, false),
  'processing by the next attempt': async (tasks, job) => {
    await tasks.records.release(job, false);
    await beginJob(tasks, job.id);
  },
  forgotten: async (tasks, job) => {
    await tasks.cancel(job.id);
    await tasks.forget(job.id);
  },
};

describe('task lifecycle', () => {
  const { folder, open, pictures } = useTasks();

  describe('for each call of the dispatcher', () => {
    const shared = useSharedTasks();

    for (const [name, { move, took, status }] of Object.entries(MOVES)) {
      it(`${name} changes a task that is processing`, async () => {
        const tasks = shared.tasks();
        const { task_id } = await submitPicture(tasks);
        expect(await move(tasks.records, await beginJob(tasks, task_id))).to.equal(took);
        expect(tasks.get(task_id).status).to.equal(status);
      });

      for (const [state, end] of Object.entries(ENDINGS)) {
        it(`${name} changes nothing, and leaves no file, when the task is ${state}`, async () => {
          const tasks = shared.tasks();
          const { task_id } = await submitPicture(tasks);
          const job = await beginJob(tasks, task_id);
          await end(tasks, job);
          const before = await codeOf(async () => expect(tasks.get(task_id)).to.be.an('object'));
          const record = before === 'none' ? tasks.get(task_id) : null;
          const owned = await shared.pictures();
          const late = await storeOutput(tasks, job, Buffer.from('late'));
          expect(late.sha256).to.have.length(64);
          expect(await move(tasks.records, job)).to.equal(name === 'strike' ? 'unchanged' : false);
          if (record !== null) expect(tasks.get(task_id)).to.deep.equal(record);
          expect(await shared.pictures()).to.deep.equal(owned);
          for (const name of owned.filter((one) => one.endsWith('.resize'))) {
            expect(await readPicture(shared.folder(), name)).to.deep.equal(WINNER);
          }
        });
      }
    }
  });

  it('begins a pending task once, with the next attempt', async () => {
    const tasks = await open();
    const { task_id } = await submitPicture(tasks);
    const jobs = await Promise.all([tasks.records.begin(task_id), tasks.records.begin(task_id)]);
    expect(jobs.filter((job) => job !== null).length).to.equal(1);
    expect(tasks.get(task_id)).to.include({ status: 'processing', attempts: 1 });
    const [job] = jobs.filter((one) => one !== null);
    if (job !== undefined) await tasks.records.release(job, false);
    expect((await beginJob(tasks, task_id)).attempt).to.equal(2);
    await tasks.cancel(task_id);
    expect(await tasks.records.begin(task_id)).to.equal(null);
    expect(await tasks.records.begin('nobody')).to.equal(null);
  });

  it('records one of two ends that race, and keeps only its files', async () => {
    const tasks = await open();
    for (let round = 0; round < 10; round += 1) {
      const { task_id } = await submitPicture(tasks);
      const job = await beginJob(tasks, task_id);
      const output = await storeOutput(tasks, job, Buffer.from('picture'));
      const ends = [tasks.records.complete(job, [output], {}), tasks.records.complete(job, [output], {})];
      expect((await Promise.all(ends)).sort()).to.deep.equal([false, true]);
      expect(await pictures()).to.deep.equal([`${task_id}.1.resize`]);
      await tasks.forget(task_id);
    }
  });

  it('records either complete or cancel when they race', async () => {
    const tasks = await open();
    for (let round = 0; round < 10; round += 1) {
      const { task_id } = await submitPicture(tasks);
      const job = await beginJob(tasks, task_id);
      const output = await storeOutput(tasks, job, Buffer.from('picture'));
      const complete = () => tasks.records.complete(job, [output], {});
      const cancel = () => tasks.cancel(task_id);
      const [completed] =
        round % 2 === 0
          ? await Promise.all([complete(), cancel()])
          : (await Promise.all([cancel(), complete()])).reverse();
      expect(tasks.get(task_id).status).to.equal(completed ? 'completed' : 'canceled');
      expect(await pictures()).to.deep.equal(completed ? [`${task_id}.1.resize`] : []);
      await tasks.forget(task_id);
    }
    expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
  });

  it('fails a task only when all its outputs failed, with the error of the first', async () => {
    const tasks = await open();
    const { task_id } = await submitPicture(tasks);
    await tasks.records.complete(
      await beginJob(tasks, task_id),
      [failed('resize', 'one'), failed('classify', 'two')],
      {},
    );
    const task = tasks.get(task_id);
    expect(task.status).to.equal('failed');
    expect(task.error).to.deep.equal({ code: 'TIMEOUT', message: 'one' });
    expect(task.outputs.map((output) => output.status)).to.deep.equal(['failed', 'failed']);
    const partly = await submitPicture(tasks);
    await tasks.records.complete(await beginJob(tasks, partly.task_id), [failed('resize', 'one'), LABELS], {});
    expect(tasks.get(partly.task_id)).to.include({ status: 'completed', error: null });
    const empty = await submitPicture(tasks);
    await tasks.records.complete(await beginJob(tasks, empty.task_id), [], {});
    expect(tasks.get(empty.task_id).error?.code).to.equal('INTERNAL');
  });

  it('fails a task at its third strike, counted across restarts', async () => {
    let tasks = await open();
    const { task_id } = await submitPicture(tasks);
    for (const outcome of ['pending', 'pending', 'failed']) {
      expect(await tasks.records.crashedAlone(await beginJob(tasks, task_id), true)).to.equal(outcome);
      await tasks.close();
      tasks = await open();
    }
    expect(tasks.get(task_id)).to.include({ status: 'failed', attempts: 3 });
    expect(tasks.get(task_id).error?.code).to.equal('WORKER_CRASHED');
    expect(await pictures()).to.deep.equal([]);
  });

  it('gives a task up at the twentieth end of Server B while it ran alone, without a strike, counted across restarts', async () => {
    let tasks = await open();
    const { task_id } = await submitPicture(tasks);
    for (let crash = 1; crash <= 20; crash += 1) {
      const outcome = await tasks.records.crashedAlone(await beginJob(tasks, task_id), false);
      expect(outcome, `${crash}`).to.equal(crash < 20 ? 'pending' : 'failed');
      if (crash !== 10) continue;
      await tasks.close();
      tasks = await open();
    }
    const message = 'The worker ended 20 times while it ran only this picture.';
    expect(tasks.get(task_id).error).to.deep.equal({ code: 'WORKER_CRASHED', message });
  });

  it('remembers suspects across restarts, and a restart is not a strike', async () => {
    let tasks = await open();
    const { task_id } = await submitPicture(tasks);
    await tasks.records.release(await beginJob(tasks, task_id), true);
    for (let start = 0; start < 4; start += 1) {
      expect(tasks.records.waiting()).to.deep.equal([{ id: task_id, suspect: true }]);
      await beginJob(tasks, task_id);
      await tasks.close();
      tasks = await open();
    }
    await tasks.records.release(await beginJob(tasks, task_id), false);
    expect(tasks.records.waiting()).to.deep.equal([{ id: task_id, suspect: true }]);
  });

  for (const [what, damage] of [
    ['missing', losePicture],
    ['truncated', (dataDir: string, name: string) => damagePicture(dataDir, name, Buffer.from('short'))],
  ] as const) {
    it(`fails a task at its next attempt if its input is ${what}`, async () => {
      const tasks = await open();
      const { task_id } = await submitPicture(tasks);
      await damage(folder(), `${task_id}.input`);
      expect(await tasks.records.begin(task_id)).to.equal(null);
      expect(tasks.get(task_id)).to.include({ status: 'failed', attempts: 0 });
      expect(tasks.get(task_id).error?.code).to.equal('SPOOL_CORRUPT');
      expect(await pictures()).to.deep.equal([]);
    });
  }

  it('keeps only the files that the end of an attempt names, and a later discard does not remove them', async () => {
    const tasks = await open();
    const { task_id } = await submitPicture(tasks);
    const job = await beginJob(tasks, task_id);
    const unfinished = await tasks.records.createOutput(job, 'circle');
    await unfinished.write(Buffer.from('half'));
    const winner = await tasks.records.createOutput(job, 'resize');
    await winner.write(Buffer.from('picture'));
    await tasks.records.complete(job, [{ header: pictureHeader('resize', 7), sha256: await winner.commit() }], {});
    await winner.discard();
    expect(await pictures()).to.deep.equal([`${task_id}.1.resize`]);
    expect(tasks.counts().spool_bytes).to.equal(7);
  });

  it('frees the place in the queue at every kind of end', async () => {
    const tasks = await open({ maxQueued: 1 });
    const ends = [MOVES['complete'], MOVES['fail']].map((one) => one?.move);
    for (const end of ends) {
      const { task_id } = await submitPicture(tasks);
      expect(await codeOf(submitPicture(tasks))).to.equal('QUEUE_FULL');
      await end?.(tasks.records, await beginJob(tasks, task_id));
    }
    const { task_id } = await submitPicture(tasks);
    for (let strike = 0; strike < 3; strike += 1) {
      expect(await codeOf(submitPicture(tasks))).to.equal('QUEUE_FULL');
      await tasks.records.crashedAlone(await beginJob(tasks, task_id), true);
    }
    // Another picture, because the first one is in quarantine now.
    await submitPicture(tasks, [RESIZE], await makePicture(1));
  });
});
