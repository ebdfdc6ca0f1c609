import { EventEmitter, once } from 'node:events';
import { link, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { Pictures } from '../../../server-a/pictures/pictures.ts';
import { LostAndFound } from '../../../server-a/spool/lost-and-found.ts';
import { Spool } from '../../../server-a/spool/spool.ts';
import { Store } from '../../../server-a/store/store.ts';
import { SYSTEM } from '../../../server-a/system.ts';
import { Quarantine } from '../../../server-a/tasks/quarantine.ts';
import { Retention } from '../../../server-a/tasks/retention.ts';
import { SYSTEM_CLOCK } from '../../../shared/clock.ts';
import { NODE_FILES } from '../../../shared/file-system.ts';
import { beginJob, codeOf, makeLargePicture, silent, storeOutput, submitPicture, useTasks } from './support.ts';

const HOUR = 60 * 60 * 1000;
const WEEK = 7 * 24 * HOUR;

describe('retention', () => {
  const { folder, open, pictures } = useTasks();

  /** Makes a completed and a pending task, then opens only the retention of their folder. */
  async function prepare(output: Buffer = Buffer.from('picture')): Promise<{ ended: string; waiting: string }> {
    const tasks = await open({ keepHours: 1 });
    const ended = (await submitPicture(tasks)).task_id;
    const waiting = (await submitPicture(tasks)).task_id;
    const job = await beginJob(tasks, ended);
    await tasks.records.complete(job, [await storeOutput(tasks, job, output)], {});
    await tasks.close();
    return { ended, waiting };
  }

  async function retainAt(now: number): Promise<void> {
    const store = await Store.open(join(folder(), 'store.db'), silent, () => undefined);
    const spool = await Spool.open(join(folder(), 'spool'), silent);
    const lostAndFound = new LostAndFound(folder(), SYSTEM);
    const quarantine = new Quarantine(store, SYSTEM_CLOCK, 24 * HOUR);
    const pictures = new Pictures(store, spool);
    const retention = new Retention({ store, pictures, lostAndFound, quarantine }, silent, SYSTEM_CLOCK);
    retention.start();
    await retention.run(now);
    await retention.stop();
    await spool.close();
    await store.close();
  }

  it('keeps outputs for their hours', async () => {
    const { ended, waiting } = await prepare();
    await retainAt(Date.now() + HOUR - 60_000);
    expect(await pictures()).to.deep.equal([`${ended}.1.resize`, `${waiting}.input`].sort());
  });

  it('removes outputs after their hours; the result is EXPIRED for a week', async () => {
    const { ended, waiting } = await prepare();
    await retainAt(Date.now() + HOUR + WEEK - 60_000);
    expect(await pictures()).to.deep.equal([`${waiting}.input`]);
    const tasks = await open();
    expect(tasks.get(ended).status).to.equal('completed');
    expect(await codeOf(tasks.result(ended))).to.equal('EXPIRED');
  });

  it('removes the other outputs when one cannot be removed', async () => {
    const tasks = await open({ keepHours: 1 });
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      const { task_id } = await submitPicture(tasks);
      const job = await beginJob(tasks, task_id);
      await tasks.records.complete(job, [await storeOutput(tasks, job, makeLargePicture())], {});
      ids.push(task_id);
    }
    await tasks.close();
    // A folder with the file's name cannot be unlinked, not even by root.
    const stuck = `${ids[0]}.1.resize`;
    await rm(join(folder(), 'spool', stuck));
    await mkdir(join(folder(), 'spool', stuck));
    await retainAt(Date.now() + 2 * HOUR);
    expect(await pictures()).to.deep.equal([stuck]);
  });

  it('removes the record a week later, but never a task that has not ended', async () => {
    const { ended, waiting } = await prepare();
    await retainAt(Date.now() + HOUR + WEEK + 60_000);
    const tasks = await open();
    expect(await codeOf(() => tasks.get(ended))).to.equal('TASK_NOT_FOUND');
    expect(tasks.get(waiting).status).to.equal('pending');
    expect(await pictures()).to.deep.equal([`${waiting}.input`]);
  });

  it('removes few outputs before a start, and the others after it', async () => {
    const { ended } = await prepare(makeLargePicture());
    const database = new DatabaseSync(join(folder(), 'store.db'));
    database.exec(`
      WITH RECURSIVE copies (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copies WHERE number < 600)
      INSERT INTO tasks (id, status, stage, attempt, header, bytes, sha256, specs, outputs, outputs_kept, created_at,
        finished_at, expires_at)
      SELECT printf('copy-%016d', number), status, stage, attempt, header, bytes, sha256, specs, outputs, outputs_kept,
        created_at, finished_at, expires_at FROM tasks, copies WHERE id = '${ended}'`);
    database.close();
    const names = Array.from({ length: 600 }, (_, index) => `copy-${String(index + 1).padStart(16, '0')}.1.resize`);
    const spool = join(folder(), 'spool');
    for (const name of names) await link(join(spool, `${ended}.1.resize`), join(spool, name));
    const removals = new EventEmitter();
    const last = once(removals, 'last');
    let removed = 0;
    const unlink = async (path: string) => {
      await NODE_FILES.unlink(path);
      removed += 1;
      if (removed === names.length + 1) removals.emit('last');
    };
    const clock = { ...SYSTEM_CLOCK, now: () => Date.now() + 2 * HOUR };
    await open({}, { clock, files: { ...NODE_FILES, unlink } });
    expect(removed).to.be.lessThan(names.length);
    await last;
    expect((await pictures()).filter((name) => name.endsWith('.resize'))).to.deep.equal([]);
  });
});
