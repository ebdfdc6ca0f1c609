import { createHash } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { SCHEMA_VERSION } from '../../../server-a/store/tables.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { type Task, type TaskStatus, taskSchema } from '../../../shared/task.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { damagePicture, losePicture, readPicture } from '../../support/stored-pictures.ts';
import {
  beginJob,
  bytesOf,
  CLASSIFY,
  codeOf,
  failed,
  forever,
  LABELS,
  makePicture,
  RESIZE,
  receivePicture,
  storeOutput,
  submitPicture,
  useSharedTasks,
  useTasks,
} from './support.ts';

const HOUR = 60 * 60 * 1000;
const UNKNOWN = 'V1StGXR8_Z5jdHi6B-myT';

describe('tasks', () => {
  const { folder, open, pictures } = useTasks();

  function receive(tasks: Tasks, source: Readable, signal = forever) {
    return tasks.receive(source, { filename: null, bytes: null, signal });
  }

  describe('receive', () => {
    const shared = useSharedTasks();

    it('resolves with the header, the size and the hash of a picture that comes in any pieces', async () => {
      const tasks = shared.tasks();
      const bytes = await makePicture();
      for (const size of [1, 7, bytes.length]) {
        const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
          bytes.subarray(index * size, (index + 1) * size),
        );
        const received = await receive(tasks, Readable.from(pieces));
        expect(received.header).to.include({ format: 'png', width: 8, height: 6, frames: 1 });
        expect(received.bytes).to.equal(bytes.length);
        expect(received.sha256).to.equal(createHash('sha256').update(bytes).digest('hex'));
        await tasks.discard(received);
        await tasks.discard(received);
      }
      expect(await shared.pictures()).to.deep.equal([]);
      expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
    });

    it('refuses each bad upload with its code, and leaves no file', async () => {
      const tasks = await open({ maxSide: 100 });
      const picture = await makePicture();
      const cases: [string, Buffer | Buffer[]][] = [
        ['BAD_REQUEST', []],
        ['UNSUPPORTED_IMAGE', Buffer.from('hello')],
        ['UNSUPPORTED_IMAGE', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
        ['IMAGE_CORRUPT', picture.subarray(0, 20)],
        ['IMAGE_TOO_LARGE', await makePicture(0, 101, 2)],
        ['PAYLOAD_TOO_LARGE', [picture, Buffer.alloc(1024 * 1024)]],
      ];
      for (const [code, body] of cases) {
        expect(await codeOf(receive(tasks, Readable.from([body].flat()))), code).to.equal(code);
        expect(await pictures()).to.deep.equal([]);
      }
      expect(tasks.counts().spool_bytes).to.equal(0);
    });

    it('refuses by the first bytes and by the size, without waiting for the rest', async () => {
      const tasks = shared.tasks();
      const text = new PassThrough();
      text.write('x'.repeat(300));
      expect(await codeOf(receive(tasks, text))).to.equal('UNSUPPORTED_IMAGE');
      const large = new PassThrough({ highWaterMark: 4 * 1024 * 1024 });
      large.write(await makePicture());
      large.write(Buffer.alloc(1024 * 1024));
      expect(await codeOf(receive(tasks, large))).to.equal('PAYLOAD_TOO_LARGE');
      expect([text.destroyed, large.destroyed], 'left for their owner to drain').to.deep.equal([false, false]);
      text.destroy();
      large.destroy();
    });

    it('leaves no file when the source fails or the signal aborts', async () => {
      const tasks = shared.tasks();
      const cut = new PassThrough();
      cut.write(await makePicture());
      const failing = receive(tasks, cut);
      await new Promise(setImmediate);
      cut.destroy(new Error('cut'));
      expect(await codeOf(failing)).to.equal('cut');
      const controller = new AbortController();
      const stalled = new PassThrough();
      stalled.write(await makePicture());
      const aborted = receive(tasks, stalled, controller.signal);
      await new Promise(setImmediate);
      controller.abort(new Error('gone'));
      expect(await codeOf(aborted)).to.equal('gone');
      expect(await codeOf(receive(tasks, Readable.from([]), controller.signal))).to.equal('gone');
      expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
      expect(await shared.pictures()).to.deep.equal([]);
      expect(tasks.counts().spool_bytes).to.equal(0);
    });

    it('respects the limit of the queue for simultaneous uploads', async () => {
      const tasks = await open({ maxQueued: 3 });
      const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(receivePicture(tasks))));
      expect(codes.filter((code) => code === 'none').length).to.equal(3);
      expect(codes.filter((code) => code === 'QUEUE_FULL').length).to.equal(5);
    });

    it('respects the limit of the spool for inputs, outputs and uploads in progress', async () => {
      const tasks = await open({ maxSpoolMb: 1, maxUploadMb: 1 });
      expect(await codeOf(() => tasks.checkRoom(null))).to.equal('none');
      const { task_id } = await submitPicture(tasks);
      expect(await codeOf(() => tasks.checkRoom(null))).to.equal('STORAGE_FULL');
      expect(await codeOf(() => tasks.checkRoom(1000))).to.equal('none');
      const job = await beginJob(tasks, task_id);
      const output = await tasks.records.createOutput(job, 'resize');
      await output.write(Buffer.alloc(1024 * 1024));
      expect(await codeOf(() => tasks.checkRoom(1000))).to.equal('STORAGE_FULL');
      expect(await codeOf(receivePicture(tasks))).to.equal('STORAGE_FULL');
      await output.discard();
      expect(await codeOf(() => tasks.checkRoom(1000))).to.equal('none');
    });
  });

  describe('submit', () => {
    it('resolves with a pending task whose picture is stored, and queues it', async () => {
      const tasks = await open();
      const queued: unknown[] = [];
      tasks.dispatcher.target = { enqueue: (id, suspect) => queued.push([id, suspect]), cancel: () => undefined };
      const bytes = await makePicture();
      const task = await submitPicture(tasks, [RESIZE], bytes);
      expect(taskSchema.parse(task)).to.deep.equal(task);
      expect(task).to.include({ status: 'pending', result: null, error: null, attempts: 0, expires_at: null });
      expect(task.input).to.include({ filename: 'cat.png', format: 'png', width: 8, height: 6, bytes: bytes.length });
      expect(queued).to.deep.equal([[task.task_id, false]]);
      expect(await pictures()).to.deep.equal([`${task.task_id}.input`]);
      expect(await readPicture(folder(), `${task.task_id}.input`)).to.deep.equal(bytes);
      expect(tasks.counts()).to.deep.equal({ pending: 1, processing: 0, spool_bytes: bytes.length });
    });

    it('refuses outputs above the limits, and removes the picture', async () => {
      const tasks = await open({ maxSide: 50 });
      expect(await codeOf(submitPicture(tasks, [{ name: 'resize', operation: 'resize', scale_factor: 10 }]))).to.equal(
        'IMAGE_TOO_LARGE',
      );
      expect(await pictures()).to.deep.equal([]);
      await submitPicture(tasks);
    });

    it('refuses uploads and received pictures during a drain', async () => {
      const tasks = await open();
      const received = await receivePicture(tasks);
      tasks.drain();
      expect(await codeOf(tasks.submit(received, [RESIZE]))).to.equal('DRAINING');
      expect(await codeOf(receivePicture(tasks))).to.equal('DRAINING');
      expect(await codeOf(() => tasks.checkRoom(1))).to.equal('DRAINING');
      expect(await pictures()).to.deep.equal([]);
    });

    it('keeps accepted tasks across a restart, in order', async () => {
      const tasks = await open();
      const ids: string[] = [];
      for (let index = 0; index < 5; index += 1) ids.push((await submitPicture(tasks)).task_id);
      await beginJob(tasks, ids[2] ?? '');
      const before = tasks.get(ids[0] ?? '');
      await tasks.close();
      const again = await open();
      expect(again.records.waiting()).to.deep.equal(ids.map((id) => ({ id, suspect: false })));
      expect(again.get(ids[0] ?? '')).to.deep.equal(before);
      expect(again.get(ids[2] ?? '')).to.include({ status: 'pending', attempts: 1 });
      expect((await pictures()).length).to.equal(5);
    });
  });

  describe('status', () => {
    const shared = useSharedTasks();

    it('is unknown for ids that were never issued', async () => {
      const tasks = shared.tasks();
      for (const id of [UNKNOWN, '', '../etc/passwd', '\0', '💣'.repeat(5000)]) {
        expect(await codeOf(() => tasks.get(id))).to.equal('TASK_NOT_FOUND');
        expect(await codeOf(tasks.wait(id, 10, forever))).to.equal('TASK_NOT_FOUND');
        expect(await codeOf(tasks.watch(id, forever).next())).to.equal('TASK_NOT_FOUND');
        expect(await codeOf(tasks.cancel(id))).to.equal('TASK_NOT_FOUND');
        expect(await codeOf(tasks.forget(id))).to.equal('TASK_NOT_FOUND');
        expect(await codeOf(async () => tasks.result(id))).to.equal('TASK_NOT_FOUND');
      }
    });

    it('is INTERNAL for a damaged record, and only for that task', async () => {
      const tasks = await open();
      const damaged = await submitPicture(tasks);
      const sound = await submitPicture(tasks);
      await tasks.close();
      const database = new DatabaseSync(join(folder(), 'store.db'));
      database.prepare("UPDATE tasks SET header = '{' WHERE id = ?").run(damaged.task_id);
      database.close();
      const again = await open();
      expect(await codeOf(() => again.get(damaged.task_id))).to.equal('INTERNAL');
      expect(again.get(sound.task_id).status).to.equal('pending');
      expect(await again.records.begin(damaged.task_id)).to.equal(null);
      expect(again.records.waiting()).to.deep.equal([{ id: sound.task_id, suspect: false }]);
    });

    it('can be watched from now until the end', async () => {
      const tasks = shared.tasks();
      const { task_id } = await submitPicture(tasks);
      const seen: TaskStatus[] = [];
      const watching = (async () => {
        for await (const { status } of tasks.watch(task_id, forever)) seen.push(status);
      })();
      await tasks.records.release(await beginJob(tasks, task_id), false);
      await tasks.records.complete(await beginJob(tasks, task_id), [LABELS], {});
      await watching;
      expect(seen).to.deep.equal(['pending', 'processing', 'pending', 'processing', 'completed']);
    });

    it('can be waited for, until the end, the time limit or the abort', async () => {
      const tasks = shared.tasks();
      const { task_id } = await submitPicture(tasks);
      const controller = new AbortController();
      const patient = new AbortController().signal;
      expect((await tasks.wait(task_id, 5, controller.signal)).status).to.equal('pending');
      const long = tasks.wait(task_id, 60_000, controller.signal);
      controller.abort();
      expect((await long).status).to.equal('pending');
      expect((await tasks.wait(task_id, 60_000, controller.signal)).status).to.equal('pending');
      const ended = tasks.wait(task_id, 60_000, patient);
      await tasks.cancel(task_id);
      expect((await ended).status).to.equal('canceled');
      expect((await tasks.wait(task_id, 60_000, patient)).status).to.equal('canceled');
      expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
      expect(getEventListeners(patient, 'abort')).to.deep.equal([]);
    });

    it('ends its watches when the tasks are closed', async () => {
      const tasks = await open();
      const { task_id } = await submitPicture(tasks);
      const waiting = tasks.wait(task_id, 60_000, forever);
      await tasks.close();
      await tasks.close();
      expect((await waiting).status).to.equal('pending');
    });
  });

  describe('result', () => {
    const shared = useSharedTasks();

    async function complete(tasks: Tasks, bytes = Buffer.from('a picture')): Promise<Task> {
      const { task_id } = await submitPicture(tasks, [RESIZE, CLASSIFY]);
      const job = await beginJob(tasks, task_id);
      await tasks.records.complete(job, [await storeOutput(tasks, job, bytes), LABELS], { decode_ms: 3 });
      return tasks.get(task_id);
    }

    it('is the first picture, or the named output', async () => {
      const tasks = shared.tasks();
      const bytes = Buffer.from('a picture');
      const task = await complete(tasks, bytes);
      expect(taskSchema.parse(task)).to.deep.equal(task);
      expect(task.result).to.equal(`/result/${task.task_id}`);
      expect(task.outputs.map((output) => output.url)).to.deep.equal([`/result/${task.task_id}/resize`, undefined]);
      expect(task.timings).to.have.keys('queued_ms', 'decode_ms');
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const about = { kind: 'picture', mediaType: 'image/png', bytes: bytes.length, sha256 };
      for (const name of [undefined, 'resize']) {
        const result = await tasks.result(task.task_id, name);
        expect(result).to.include(about);
        expect(await bytesOf(result)).to.deep.equal(bytes);
      }
      expect(await tasks.result(task.task_id, 'classify')).to.deep.equal({ kind: 'data', output: task.outputs[1] });
      const owned = (await shared.pictures()).filter((name) => name.startsWith(task.task_id));
      expect(owned).to.deep.equal([`${task.task_id}.1.resize`]);
      for (const name of ['circle', '', '../x', 'toString']) {
        expect(await codeOf(tasks.result(task.task_id, name))).to.equal('NOT_FOUND');
      }
    });

    it('is NOT_READY before the end, and CANCELED after a cancel', async () => {
      const tasks = shared.tasks();
      const { task_id } = await submitPicture(tasks);
      expect(await codeOf(tasks.result(task_id))).to.equal('NOT_READY');
      await beginJob(tasks, task_id);
      expect(await codeOf(tasks.result(task_id, 'resize'))).to.equal('NOT_READY');
      await tasks.cancel(task_id);
      expect(await codeOf(tasks.result(task_id))).to.equal('CANCELED');
    });

    it('is the error of a failed task, and of a failed output', async () => {
      const tasks = shared.tasks();
      const whole = await submitPicture(tasks);
      await tasks.records.fail(await beginJob(tasks, whole.task_id), { code: 'IMAGE_CORRUPT', message: 'no' });
      expect(await codeOf(tasks.result(whole.task_id))).to.equal('IMAGE_CORRUPT');
      expect(await codeOf(tasks.result(whole.task_id, 'resize'))).to.equal('IMAGE_CORRUPT');
      const part = await submitPicture(tasks);
      await tasks.records.complete(await beginJob(tasks, part.task_id), [failed('resize', 'slow'), LABELS], {});
      expect(tasks.get(part.task_id)).to.include({ status: 'completed', result: null });
      expect(await codeOf(tasks.result(part.task_id))).to.equal('TIMEOUT');
      expect((await tasks.result(part.task_id, 'classify')).kind).to.equal('data');
    });

    it('is NOT_FOUND without a name if the task has only labels', async () => {
      const tasks = shared.tasks();
      const { task_id } = await submitPicture(tasks, [CLASSIFY]);
      await tasks.records.complete(await beginJob(tasks, task_id), [LABELS], {});
      expect(await codeOf(tasks.result(task_id))).to.equal('NOT_FOUND');
    });

    it('is SPOOL_CORRUPT when its file is missing or truncated', async () => {
      const tasks = shared.tasks();
      const { task_id } = await complete(tasks);
      await damagePicture(shared.folder(), `${task_id}.1.resize`, Buffer.from('a p'));
      expect(await codeOf(tasks.result(task_id))).to.equal('SPOOL_CORRUPT');
      await losePicture(shared.folder(), `${task_id}.1.resize`);
      expect(await codeOf(tasks.result(task_id))).to.equal('SPOOL_CORRUPT');
    });

    it('expires: its file is removed, and its record stays', async () => {
      const clock = new ManualClock();
      const tasks = await open({ keepHours: 1 }, { clock });
      const task = await complete(tasks);
      clock.advance(HOUR);
      expect(await codeOf(tasks.result(task.task_id))).to.equal('EXPIRED');
      await tasks.close();
      const again = await open({}, { clock });
      expect(await pictures()).to.deep.equal([]);
      expect(again.counts().spool_bytes).to.equal(0);
      expect(await codeOf(again.result(task.task_id))).to.equal('EXPIRED');
      expect(again.get(task.task_id)).to.deep.equal(task);
    });
  });

  describe('cancel and forget', () => {
    it('cancel a pending or running task, also in the dispatcher', async () => {
      const tasks = await open({ maxQueued: 2 });
      const canceled: string[] = [];
      tasks.dispatcher.target = { enqueue: () => undefined, cancel: (id) => canceled.push(id) };
      const waiting = await submitPicture(tasks);
      const running = await submitPicture(tasks);
      await beginJob(tasks, running.task_id);
      for (const { task_id } of [waiting, running]) {
        const task = await tasks.cancel(task_id);
        expect(task).to.include({ status: 'canceled', error: null, result: null });
        expect(task.expires_at).to.be.a('string');
        expect(await tasks.cancel(task_id)).to.deep.equal(task);
      }
      expect(canceled).to.deep.equal([waiting.task_id, running.task_id]);
      expect(await pictures()).to.deep.equal([]);
      await submitPicture(tasks);
      await submitPicture(tasks);
      expect(tasks.counts()).to.include({ pending: 2, processing: 0 });
    });

    it('forget an ended task and its files, but not a task that has not ended', async () => {
      const tasks = await open();
      const { task_id } = await submitPicture(tasks);
      expect(await codeOf(tasks.forget(task_id))).to.equal('NOT_READY');
      const job = await beginJob(tasks, task_id);
      expect(await codeOf(tasks.forget(task_id))).to.equal('NOT_READY');
      await tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from('x'))], {});
      await tasks.forget(task_id);
      expect(await codeOf(() => tasks.get(task_id))).to.equal('TASK_NOT_FOUND');
      expect(await pictures()).to.deep.equal([]);
      expect(tasks.counts().spool_bytes).to.equal(0);
    });
  });

  describe('open', () => {
    it('refuses a data folder that is in use, and one that cannot be created', async () => {
      await open();
      expect(await codeOf(open())).to.equal('BAD_REQUEST');
      expect(await codeOf(open({ dataDir: join(folder(), 'lock.db', 'x') }))).to.equal('BAD_REQUEST');
    });

    it('releases the folder when the store cannot be opened', async () => {
      const tasks = await open();
      await tasks.close();
      const database = new DatabaseSync(join(folder(), 'store.db'));
      database.exec('PRAGMA user_version = 9');
      for (const _ of ['first', 'second']) {
        const error: unknown = await open().catch((reason: unknown) => reason);
        expect(String(error)).to.contain("the store's user_version");
      }
      database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
      database.close();
      await open();
    });
  });
});
