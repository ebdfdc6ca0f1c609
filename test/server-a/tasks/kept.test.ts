import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { taskSchema } from '../../../shared/task.ts';
import {
  beginJob,
  bytesOf,
  CLASSIFY,
  codeOf,
  failed,
  LABELS,
  makePicture,
  RESIZE,
  readInput,
  receivePicture,
  storeOutput,
  submitPicture,
  useTasks,
} from './support.ts';

const HOUR = 60 * 60 * 1000;

describe('kept pictures', () => {
  const { folder, open, pictures } = useTasks();

  async function keep(tasks: Tasks, bytes?: Buffer, operations = [CLASSIFY]) {
    return tasks.submit(await receivePicture(tasks, bytes), operations, { keep: true });
  }

  async function complete(tasks: Tasks, id: string): Promise<void> {
    await tasks.records.complete(await beginJob(tasks, id), [LABELS], {});
  }

  /** Changes the store as if the hours for which pictures are kept had passed. */
  function letTimePass(milliseconds: number): void {
    const database = new DatabaseSync(join(folder(), 'store.db'));
    database.exec(`UPDATE tasks SET original_expires_at = original_expires_at - ${milliseconds},
      expires_at = expires_at - ${milliseconds}`);
    database.close();
  }

  it('are results before and after the task ends, and after a restart', async () => {
    const tasks = await open();
    const bytes = await makePicture();
    const { task_id, input, result } = await keep(tasks, bytes);
    const original = `/result/${task_id}/original`;
    expect([input.original, result]).to.deep.equal([original, null]);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const expected = { kind: 'picture', mediaType: 'image/png', bytes: bytes.length, sha256 };
    expect(await tasks.result(task_id, 'original')).to.include(expected);
    expect(await codeOf(tasks.result(task_id))).to.equal('NOT_READY');
    await complete(tasks, task_id);
    expect(tasks.get(task_id)).to.include({ status: 'completed', result: original });
    expect(taskSchema.parse(tasks.get(task_id))).to.deep.equal(tasks.get(task_id));
    expect(await tasks.result(task_id)).to.include(expected);
    await tasks.close();
    const again = await open();
    const kept = await again.result(task_id, 'original');
    expect(kept).to.include(expected);
    expect(await bytesOf(kept)).to.deep.equal(bytes);
    expect(again.counts().spool_bytes).to.equal(bytes.length);
  });

  it('are not the default result when an output is a picture', async () => {
    const tasks = await open();
    const { task_id } = await keep(tasks, undefined, [RESIZE]);
    const job = await beginJob(tasks, task_id);
    await tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from('small'))], {});
    expect(tasks.get(task_id).result).to.equal(`/result/${task_id}`);
    expect(await tasks.result(task_id)).to.include({ bytes: 5 });
    const lost = await keep(tasks, undefined, [RESIZE, CLASSIFY]);
    await tasks.records.complete(await beginJob(tasks, lost.task_id), [failed('resize', 'late'), LABELS], {});
    expect(await codeOf(tasks.result(lost.task_id))).to.equal('TIMEOUT');
    expect(await codeOf(tasks.result(lost.task_id, 'original'))).to.equal('none');
  });

  it('stay when the task fails or is canceled, until the task is forgotten', async () => {
    const tasks = await open();
    for (const end of ['fail', 'cancel']) {
      const { task_id } = await keep(tasks);
      if (end === 'cancel') await tasks.cancel(task_id);
      else await tasks.records.fail(await beginJob(tasks, task_id), { code: 'TIMEOUT', message: 'late' });
      expect(await codeOf(tasks.result(task_id, 'original'))).to.equal('none');
      await tasks.forget(task_id);
      expect(await pictures()).to.deep.equal([]);
    }
    expect(tasks.counts().spool_bytes).to.equal(0);
  });

  it('expire after their hours, and their records a week later', async () => {
    const tasks = await open({ keepImageHours: 48 });
    const { task_id } = await keep(tasks);
    await complete(tasks, task_id);
    await tasks.close();
    letTimePass(47 * HOUR);
    const later = await open();
    expect(await codeOf(later.result(task_id, 'original'))).to.equal('none');
    await later.close();
    letTimePass(2 * HOUR);
    const last = await open();
    expect(await codeOf(last.result(task_id, 'original'))).to.equal('EXPIRED');
    expect(await codeOf(last.submitKept(task_id, [RESIZE]))).to.equal('EXPIRED');
    expect(last.get(task_id)).to.deep.include({ result: null });
    expect(await pictures()).to.deep.equal([]);
    await last.close();
    letTimePass(8 * 24 * HOUR);
    expect(await codeOf(async () => (await open()).get(task_id))).to.equal('TASK_NOT_FOUND');
  });

  it('are kept only on request', async () => {
    const tasks = await open();
    const { task_id, input } = await submitPicture(tasks);
    expect(input.original).to.equal(null);
    expect(await codeOf(tasks.result(task_id, 'original'))).to.equal('NOT_FOUND');
    expect(await codeOf(tasks.submitKept(task_id, [RESIZE]))).to.equal('NOT_FOUND');
    expect(await codeOf(tasks.submitKept('V1StGXR8_Z5jdHi6B-myT', [RESIZE]))).to.equal('TASK_NOT_FOUND');
  });

  it('become inputs of other tasks, which do not depend on them afterwards', async () => {
    const tasks = await open();
    const queued: string[] = [];
    tasks.dispatcher.target = { enqueue: (id) => queued.push(id), cancel: () => undefined };
    const bytes = await makePicture();
    const { task_id } = await keep(tasks, bytes);
    await complete(tasks, task_id);
    const second = await tasks.submitKept(task_id, [RESIZE]);
    expect(second.input).to.include({ filename: 'cat.png', bytes: bytes.length, original: null });
    expect(queued).to.deep.equal([task_id, second.task_id]);
    expect(tasks.counts().spool_bytes).to.equal(2 * bytes.length);
    await tasks.forget(task_id);
    const job = await beginJob(tasks, second.task_id);
    expect(await readInput(tasks, job)).to.deep.equal(bytes);
    await tasks.records.complete(job, [failed('resize', 'late')], {});
    expect(await pictures()).to.deep.equal([]);
    expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
  });

  it('obey the limits of outputs and of the queue', async () => {
    const tasks = await open({ maxQueued: 2, maxSide: 50 });
    const { task_id } = await keep(tasks);
    expect(
      await codeOf(tasks.submitKept(task_id, [{ name: 'resize', operation: 'resize', scale_factor: 10 }])),
    ).to.equal('IMAGE_TOO_LARGE');
    await tasks.submitKept(task_id, [RESIZE]);
    expect(await codeOf(tasks.submitKept(task_id, [RESIZE]))).to.equal('QUEUE_FULL');
    expect((await pictures()).length).to.equal(2);
    tasks.drain();
    expect(await codeOf(tasks.submitKept(task_id, [RESIZE]))).to.equal('DRAINING');
  });
});
