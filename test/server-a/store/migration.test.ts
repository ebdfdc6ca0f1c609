import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { expect } from 'chai';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { taskSchema } from '../../../shared/task.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { readPicture, spoolFiles, storedNames } from '../../support/stored-pictures.ts';
import {
  beginJob,
  bytesOf,
  CLASSIFY,
  codeOf,
  LABELS,
  makePicture,
  RESIZE,
  readInput,
  receivePicture,
  storeOutput,
  submitPicture,
  useTasks,
} from '../tasks/support.ts';

/** The table of version 1. */
const VERSION_1 = `
  CREATE TABLE tasks (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'canceled')),
    attempt INTEGER NOT NULL DEFAULT 0,
    strikes INTEGER NOT NULL DEFAULT 0,
    suspect INTEGER NOT NULL DEFAULT 0,
    filename TEXT,
    header TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    operations TEXT NOT NULL,
    outputs TEXT NOT NULL DEFAULT '[]',
    outputs_kept INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    timings TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    expires_at INTEGER
  ) STRICT;
  CREATE INDEX tasks_open ON tasks (status, sequence) WHERE finished_at IS NULL;
  CREATE INDEX tasks_kept ON tasks (expires_at) WHERE outputs_kept = 1;
  CREATE INDEX tasks_ended ON tasks (expires_at) WHERE expires_at IS NOT NULL;
`;
/** RESIZE, CLASSIFY and an output with LABELS, in the JSON of versions 1 to 3. */
const OLD_RESIZE = '[{"operation":"resize","scale_factor":0.5}]';
const OLD_CLASSIFY = '[{"operation":"classify","top_k":5}]';
const OLD_LABELS = `[{"header":{"kind":"labels","name":"classify","operation":"classify","model":"test",
  "labels":[{"index":281,"wnid":"n02123045","label":"tabby","probability":0.5}]},"sha256":null}]`;
const OLD_OUTPUTS = `iif(outputs = '[]', '[]', '${OLD_LABELS}')`;
/** Takes away what version 7 has added. */
const WITHOUT_7 = 'DROP TABLE pictures;';
/** Takes away what versions 6 and 7 have added. */
const WITHOUT_QUARANTINE = `${WITHOUT_7} DROP TRIGGER tasks_crashed; DROP TABLE quarantine;`;
const WITHOUT_6 = `${WITHOUT_QUARANTINE} ALTER TABLE tasks DROP COLUMN crashes;`;
const COLUMNS = `sequence, id, status, attempt, strikes, suspect, filename, header, bytes, sha256, '${OLD_RESIZE}',
  ${OLD_OUTPUTS}, outputs_kept, error, timings, created_at, started_at, finished_at, expires_at`;

describe('migration', () => {
  const { folder, open, pictures } = useTasks();
  const store = () => new DatabaseSync(join(folder(), 'store.db'));

  /** Opens the store of a Darkroom that kept every picture as a file: writes the files, as it would have done. */
  async function oldStore(): Promise<DatabaseSyncInstance> {
    for (const name of storedNames(folder())) {
      await writeFile(join(folder(), 'spool', name), await readPicture(folder(), name));
    }
    return store();
  }

  /** Converts the folder's store to the store that version 1 would have written for the same tasks. */
  async function makeVersion1(): Promise<void> {
    const database = await oldStore();
    database.exec(WITHOUT_QUARANTINE);
    database.exec('ALTER TABLE tasks RENAME TO newer; DROP TABLE snippets;');
    for (const name of ['open', 'kept', 'ended', 'originals', 'owed', 'snippet']) {
      database.exec(`DROP INDEX tasks_${name}`);
    }
    database.exec(`${VERSION_1} INSERT INTO tasks SELECT ${COLUMNS} FROM newer; DROP TABLE newer;`);
    database.exec('PRAGMA user_version = 1');
    database.close();
  }

  async function fillWith(tasks: Tasks) {
    const ended = (await submitPicture(tasks)).task_id;
    await tasks.records.complete(await beginJob(tasks, ended), [LABELS], { decode_ms: 3 });
    const waiting = (await submitPicture(tasks)).task_id;
    const running = (await submitPicture(tasks)).task_id;
    await beginJob(tasks, running);
    return { ended, waiting, running };
  }

  it('migrates a store of version 1 without changes to its tasks', async () => {
    const before = await open();
    const { ended, waiting, running } = await fillWith(before);
    const [endedTask, waitingTask] = [before.get(ended), before.get(waiting)];
    await before.close();
    const spool = await pictures();
    await makeVersion1();
    const after = await open();
    expect(after.get(ended)).to.deep.equal(taskSchema.parse(endedTask));
    expect(after.get(waiting)).to.deep.equal(waitingTask);
    expect(after.get(running)).to.include({ status: 'pending', attempts: 1 });
    expect(after.records.waiting().map(({ id }) => id)).to.deep.equal([waiting, running]);
    expect((await beginJob(after, waiting)).specs).to.deep.equal([RESIZE]);
    expect(await pictures()).to.deep.equal(spool);
    const next = (await submitPicture(after)).task_id;
    expect(after.records.waiting().at(-1)?.id).to.equal(next);
  });

  it('migrates a store of version 2, and moves boxes to the newest pictures of their snippets', async () => {
    const before = await open();
    const [boxes, other] = [[{ X: 1, Y: 2, W: 3, H: 4 }], [{ X: 5, Y: 6, W: 7, H: 8 }]];
    const put = async () => before.putSnippet(1, { received: await receivePicture(before) });
    const [old, newest] = [await put(), await put()];
    await before.putSnippet(2, { boxes: other });
    await before.close();
    const database = await oldStore();
    database.exec('ALTER TABLE tasks DROP COLUMN boxes; ALTER TABLE tasks DROP COLUMN boxes_at');
    database.exec(`${WITHOUT_6} ALTER TABLE tasks DROP COLUMN warnings`);
    database.exec(`INSERT INTO snippets VALUES (1, '${JSON.stringify(boxes)}', 32503680000000)`);
    database.exec('DROP INDEX snippets_updated; ALTER TABLE tasks RENAME COLUMN specs TO operations');
    database.exec(`UPDATE tasks SET operations = '${OLD_CLASSIFY}'; PRAGMA user_version = 2`);
    database.close();
    const after = await open();
    expect(after.getSnippet(1)).to.deep.equal({ ...newest, boxes, updated_at: '3000-01-01T00:00:00.000Z' });
    expect(after.getSnippet(2)).to.deep.include({ task: null, boxes: other });
    await after.cancel(newest.task?.task_id ?? '');
    await after.forget(newest.task?.task_id ?? '');
    expect(await codeOf(() => after.getSnippet(1))).to.equal('NOT_FOUND');
    const { task_id = '' } = old.task ?? {};
    expect(after.get(task_id).status).to.equal('pending');
    expect((await beginJob(after, task_id)).specs).to.deep.equal([{ ...CLASSIFY, top_k: 5 }]);
  });

  it('migrates a store of version 3, and names outputs after their operations', async () => {
    const before = await open();
    const { ended, waiting } = await fillWith(before);
    const endedTask = before.get(ended);
    await before.close();
    const database = await oldStore();
    database.exec(`${WITHOUT_6} ALTER TABLE tasks DROP COLUMN warnings`);
    database.exec('ALTER TABLE tasks RENAME COLUMN specs TO operations');
    database.exec(`UPDATE tasks SET operations = '${OLD_RESIZE}', outputs = ${OLD_OUTPUTS}`);
    database.exec('PRAGMA user_version = 3');
    database.close();
    const after = await open();
    expect(after.get(ended)).to.deep.equal(endedTask);
    expect((await beginJob(after, waiting)).specs).to.deep.equal([RESIZE]);
  });

  it('migrates a store of version 4, whose tasks have no warnings', async () => {
    const before = await open();
    const { ended, waiting } = await fillWith(before);
    const endedTask = before.get(ended);
    await before.close();
    const database = await oldStore();
    database.exec(`${WITHOUT_6} ALTER TABLE tasks DROP COLUMN warnings; PRAGMA user_version = 4`);
    database.close();
    const after = await open();
    expect(after.get(ended)).to.deep.equal(endedTask);
    await after.records.complete(await beginJob(after, waiting), [LABELS], {}, ['Repaired.']);
    expect(after.get(waiting).warnings).to.deep.equal(['Repaired.']);
  });

  it('migrates a store of version 5, whose tasks have lost no instance yet', async () => {
    const before = await open();
    const { waiting } = await fillWith(before);
    await before.records.release(await beginJob(before, waiting), true);
    await before.close();
    const database = await oldStore();
    database.exec(`${WITHOUT_6} PRAGMA user_version = 5`);
    database.close();
    const after = await open();
    expect(after.records.waiting()).to.deep.include({ id: waiting, suspect: true });
    expect(await after.records.crashedAlone(await beginJob(after, waiting), false)).to.equal('pending');
  });

  it('migrates a store of version 6, whose pictures stay files until their tasks end or expire', async () => {
    const clock = new ManualClock();
    const before = await open({ keepHours: 1 }, { clock });
    const { waiting, running } = await fillWith(before);
    const finish = async (tasks: Tasks, id: string) => {
      const job = await beginJob(tasks, id);
      expect(await readInput(tasks, job)).to.deep.equal(await makePicture());
      return tasks.records.complete(job, [await storeOutput(tasks, job, Buffer.from('picture'))], {});
    };
    const ended = (await submitPicture(before)).task_id;
    await finish(before, ended);
    const bytes = before.get(waiting).input.bytes ?? 0;
    await before.close();
    const database = await oldStore();
    database.exec(`${WITHOUT_7} PRAGMA user_version = 6`);
    database.close();
    const after = await open({ keepHours: 1 }, { clock });
    expect(await spoolFiles(folder())).to.deep.equal(
      [`${ended}.1.resize`, `${waiting}.input`, `${running}.input`].sort(),
    );
    expect(after.counts().spool_bytes).to.equal(2 * bytes + 'picture'.length);
    expect(await bytesOf(await after.result(ended))).to.deep.equal(Buffer.from('picture'));
    await finish(after, waiting);
    await finish(after, running);
    expect(await spoolFiles(folder())).to.deep.equal([`${ended}.1.resize`]);
    expect(storedNames(folder())).to.deep.equal([`${waiting}.1.resize`, `${running}.2.resize`].sort());
    await after.close();
    clock.advance(60 * 60 * 1000);
    expect((await open({}, { clock })).counts().spool_bytes).to.equal(0);
    expect(await pictures()).to.deep.equal([]);
  });

  it('leaves the store unchanged when a migration fails', async () => {
    const before = await open();
    const { waiting } = await fillWith(before);
    await before.close();
    await makeVersion1();
    const database = store();
    database.exec('CREATE TABLE snippets (foreign_to_us TEXT)');
    const error: unknown = await open().catch((reason: unknown) => reason);
    expect(String(error)).to.contain('snippets already exists');
    expect(database.prepare('PRAGMA user_version').get()).to.include({ user_version: 1 });
    database.exec('DROP TABLE snippets');
    database.close();
    expect((await open()).get(waiting).status).to.equal('pending');
  });
});
