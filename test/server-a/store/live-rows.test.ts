import { expect } from 'chai';
import { LiveRows } from '../../../server-a/store/live-rows.ts';
import type { TaskRow } from '../../../server-a/store/row.ts';
import { beginJob, submitPicture, useTasks } from '../tasks/support.ts';

describe('live rows', () => {
  it('keep the row of a task with a picture that has not ended, until it changes', () => {
    const rows = new LiveRows();
    const [pending, ended] = [rowOf('pending', 'pending'), rowOf('ended', 'completed')];
    rows.keep(pending);
    rows.keep(ended);
    rows.keep({ ...rowOf('listed', 'pending'), stage: 'listed' });
    expect(rows.get('pending')).to.equal(pending);
    for (const id of ['ended', 'listed']) expect(rows.get(id), id).to.equal(undefined);
    rows.drop([{ id: 'pending' }, { id: 'other' }]);
    expect(rows.get('pending')).to.equal(undefined);
  });

  it('keep at most 1000 rows, the newest', () => {
    const rows = new LiveRows();
    for (let number = 0; number <= 1000; number += 1) rows.keep(rowOf(String(number), 'pending'));
    expect(rows.get('0')).to.equal(undefined);
    expect(rows.get('1')?.id).to.equal('1');
    expect(rows.get('1000')?.id).to.equal('1000');
  });

  const { open } = useTasks();

  it('never show a state of before a change that was announced', async () => {
    const tasks = await open();
    const { task_id } = await submitPicture(tasks);
    expect(tasks.get(task_id).status).to.equal('pending');
    const job = await beginJob(tasks, task_id);
    expect(tasks.get(task_id).status).to.equal('processing');
    await tasks.records.release(job, false);
    expect(tasks.get(task_id).status).to.equal('pending');
    await tasks.cancel(task_id);
    expect(tasks.get(task_id).status).to.equal('canceled');
    await tasks.close();
    expect(() => tasks.get(task_id)).to.throw();
  });
});

function rowOf(id: string, status: TaskRow['status']): TaskRow {
  return {
    id,
    status,
    stage: 'ready',
    attempt: 0,
    strikes: 0,
    suspect: false,
    crashes: 0,
    filename: null,
    source_url: null,
    header: null,
    bytes: null,
    sha256: null,
    specs: [],
    outputs: [],
    outputs_kept: false,
    original_kept: false,
    original_expires_at: null,
    boxes: null,
    boxes_at: null,
    error: null,
    timings: {},
    warnings: [],
    created_at: 0,
    started_at: null,
    finished_at: null,
    expires_at: null,
  };
}
