import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { Store } from '../../../server-a/store/store.ts';
import { beginJob, codeOf, silent, storeOutput, submitPicture, useTasks } from '../tasks/support.ts';

describe('store', () => {
  const { folder, open, files } = useTasks();

  /** Ids of a pending and of an ended task, after the change `change` of their rows. */
  async function prepare(change: string): Promise<{ waiting: string; ended: string }> {
    const tasks = await open();
    const ended = (await submitPicture(tasks)).task_id;
    const waiting = (await submitPicture(tasks)).task_id;
    const job = await beginJob(tasks, ended);
    await tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from('picture'))], {});
    await tasks.close();
    const database = new DatabaseSync(join(folder(), 'store.db'));
    database.exec(change);
    database.close();
    return { waiting, ended };
  }

  it('returns the state of a task, even if its JSON is damaged', async () => {
    const { waiting, ended } = await prepare("UPDATE tasks SET header = '{', outputs = '{'");
    const store = await Store.open(join(folder(), 'store.db'), silent, () => undefined);
    const sound = { stage: 'ready', original_kept: false } as const;
    expect(store.stateOf(waiting)).to.deep.equal({
      ...sound,
      id: waiting,
      status: 'pending',
      attempt: 0,
      outputs_kept: false,
    });
    expect(store.stateOf(ended)).to.deep.equal({
      ...sound,
      id: ended,
      status: 'completed',
      attempt: 1,
      outputs_kept: true,
    });
    expect(await codeOf(() => store.find(waiting))).to.equal('INTERNAL');
    await store.close();
  });

  it('throws INTERNAL for a damaged state, and returns undefined for a missing task', async () => {
    const { waiting } = await prepare('UPDATE tasks SET attempt = -1');
    const store = await Store.open(join(folder(), 'store.db'), silent, () => undefined);
    expect(await codeOf(() => store.stateOf(waiting))).to.equal('INTERNAL');
    expect(store.stateOf('V1StGXR8_Z5jdHi6B-myT')).to.equal(undefined);
    await store.close();
  });

  it('keeps the files of a damaged row at the next start', async () => {
    const { waiting, ended } = await prepare("UPDATE tasks SET header = '{', outputs = '{'");
    await open();
    expect(await files()).to.deep.equal([`${ended}.1.resize`, `${waiting}.input`].sort());
  });
});
