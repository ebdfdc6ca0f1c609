import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { startPictureServer } from '../../support/picture-server.ts';
import {
  beginJob,
  CLASSIFY,
  codeOf,
  forever,
  makePicture,
  RESIZE,
  receivePicture,
  submitPicture,
  useTasks,
} from './support.ts';

const HOUR = 60 * 60 * 1000;

describe('quarantine', () => {
  const { folder, open, pictures } = useTasks();
  let picture: Buffer;

  before(async () => {
    picture = await makePicture();
  });

  /** Has a task of the picture crash Server B until it fails; gives its id. */
  async function crash(tasks: Tasks, keep = false): Promise<string> {
    const received = await receivePicture(tasks, picture);
    const { task_id } = await tasks.submit(received, [RESIZE], { keep });
    for (let strike = 0; strike < 3; strike += 1)
      await tasks.records.crashedAlone(await beginJob(tasks, task_id), true);
    expect(tasks.get(task_id).error?.code).to.equal('WORKER_CRASHED');
    return task_id;
  }

  it('refuses the bytes of a picture that crashed its worker, as a task and in a snippet, and leaves no file', async () => {
    const tasks = await open();
    await crash(tasks);
    expect(await codeOf(submitPicture(tasks, [CLASSIFY], picture))).to.equal('QUARANTINED');
    const received = await receivePicture(tasks, picture);
    expect(await codeOf(tasks.putSnippet(1, { received }))).to.equal('QUARANTINED');
    expect(await pictures()).to.deep.equal([]);
    expect((await submitPicture(tasks, [RESIZE], await makePicture(1))).status).to.equal('pending');
  });

  it('refuses such a picture that is kept', async () => {
    const tasks = await open();
    const id = await crash(tasks, true);
    expect(await codeOf(tasks.submitKept(id, [CLASSIFY]))).to.equal('QUARANTINED');
  });

  it('fails a listed URL that gives such a picture', async () => {
    const tasks = await open();
    await crash(tasks);
    const server = await startPictureServer(picture);
    try {
      const [listed] = await tasks.submitUrls([`${server.address}/a.png`], [CLASSIFY]);
      const ended = await tasks.wait(listed?.task_id ?? '', 15_000, forever);
      expect([ended.status, ended.error?.code]).to.deep.equal(['failed', 'QUARANTINED']);
    } finally {
      await server.close();
    }
  });

  it('fails a task with the same bytes that already waits, when it would begin', async () => {
    const tasks = await open();
    const waiting = (await submitPicture(tasks, [RESIZE], picture)).task_id;
    await crash(tasks);
    expect(await tasks.records.begin(waiting)).to.equal(null);
    expect(tasks.get(waiting)).to.deep.include({ status: 'failed', attempts: 0 });
    expect(tasks.get(waiting).error?.code).to.equal('QUARANTINED');
  });

  it('holds across restarts, until its hours have passed', async () => {
    const clock = new ManualClock();
    let tasks = await open({ quarantineHours: 2 }, { clock });
    await crash(tasks);
    await tasks.close();
    tasks = await open({ quarantineHours: 2 }, { clock });
    clock.advance(2 * HOUR - 1);
    expect(await codeOf(submitPicture(tasks, [RESIZE], picture))).to.equal('QUARANTINED');
    clock.advance(1);
    expect([tasks.quarantine.list(), await codeOf(submitPicture(tasks, [RESIZE], picture))]).to.deep.equal([
      [],
      'none',
    ]);
    await tasks.close();
    await open({ quarantineHours: 2 }, { clock });
    const database = new DatabaseSync(join(folder(), 'store.db'));
    expect(database.prepare('SELECT count(*) AS left FROM quarantine').get()).to.deep.equal({ left: 0 });
    database.close();
  });

  it('begins anew when the picture crashes its worker again', async () => {
    const clock = new ManualClock();
    const tasks = await open({}, { clock });
    await crash(tasks);
    const [{ sha256 = '' } = {}] = tasks.quarantine.list();
    clock.advance(HOUR);
    await tasks.quarantine.release(sha256);
    const task_id = await crash(tasks);
    const expected = { sha256, task_id, filename: 'cat.png', since: HOUR, until: 25 * HOUR };
    expect(tasks.quarantine.list()).to.deep.equal([expected]);
  });

  it('is off with 0 hours', async () => {
    const tasks = await open({ quarantineHours: 0 });
    await crash(tasks);
    expect(await codeOf(submitPicture(tasks, [RESIZE], picture))).to.equal('none');
  });

  it('ends when the picture is released', async () => {
    const tasks = await open();
    await crash(tasks);
    const [{ sha256 = '' } = {}] = tasks.quarantine.list();
    expect([await tasks.quarantine.release(sha256), await tasks.quarantine.release(sha256)]).to.deep.equal([
      true,
      false,
    ]);
    expect(await codeOf(submitPicture(tasks, [RESIZE], picture))).to.equal('none');
  });

  it('is not for a task that fails otherwise', async () => {
    const tasks = await open();
    const { task_id } = await submitPicture(tasks, [RESIZE], picture);
    await tasks.records.fail(await beginJob(tasks, task_id), { code: 'TIMEOUT', message: 'late' });
    expect(tasks.quarantine.list()).to.deep.equal([]);
  });
});
