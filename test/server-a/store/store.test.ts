import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { Store } from '../../../server-a/store/store.ts';
import { beginJob, codeOf, silent, storeOutput, submitPicture, useTasks } from '../tasks/support.ts';

/** More than two pages of records. */
const COPIES = 2100;
/** Copies the ended task, with other ids. */
const COPY = `
  WITH RECURSIVE copies (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copies WHERE number < ${COPIES})
  INSERT INTO tasks (id, status, stage, attempt, header, bytes, sha256, specs, outputs, outputs_kept, created_at,
    finished_at, expires_at)
  SELECT printf('copy-%016d', number - 1), status, stage, attempt, header, bytes, sha256, specs, outputs, outputs_kept,
    created_at, finished_at, expires_at FROM tasks, copies WHERE finished_at IS NOT NULL;`;

function copyId(index: number): string {
  return `copy-${String(index).padStart(16, '0')}`;
}

describe('store', () => {
  const { folder, open, pictures } = useTasks();

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
    expect(await pictures()).to.deep.equal([`${ended}.1.resize`, `${waiting}.input`].sort());
  });

  describe('names the files of its records', () => {
    const owned = async () => {
      const store = await Store.open(join(folder(), 'store.db'), silent, () => undefined);
      try {
        return [...store.ownedFiles()];
      } finally {
        await store.close();
      }
    };

    it('as they are in the spool, with their sizes', async () => {
      const { ended } = await prepare('');
      const found = await owned();
      expect(found).to.deep.include({ name: `${ended}.1.resize`, bytes: 'picture'.length });
      expect(found.map(({ name }) => name).sort()).to.deep.equal(await pictures());
    });

    it('except files that have expired', async () => {
      const { waiting } = await prepare('UPDATE tasks SET outputs_kept = 0 WHERE finished_at IS NOT NULL');
      expect((await owned()).map(({ name }) => name)).to.deep.equal([`${waiting}.input`]);
    });

    it('also over many pages', async () => {
      const { waiting, ended } = await prepare(`${COPY} UPDATE tasks SET original_kept = 1 WHERE sequence % 2 = 0`);
      const names = (await owned()).map(({ name }) => name);
      const ends = names.filter((name) => name.endsWith('.1.resize'));
      expect([ends.length, new Set(ends).size]).to.deep.equal([COPIES + 1, COPIES + 1]);
      // Every second ended task keeps its input, and the other real task waits with its own.
      expect(names.length - ends.length).to.be.closeTo(COPIES / 2, 2);
      expect(names).to.include.members([`${waiting}.input`, `${ended}.1.resize`]);
    });

    it('except those of damaged records, which do not hide the next ones', async () => {
      const damaged = ['{', '', '5', '[5]', '["a"]', '[{"header":5}]', '[{"header":{"kind":"picture"}}]', '{"a":{}}'];
      const changes = damaged.map(
        (text, index) => `UPDATE tasks SET outputs = '${text}' WHERE id = '${copyId(index)}';`,
      );
      await prepare(COPY + changes.join(' '));
      const names = (await owned()).map(({ name }) => name);
      const copies = names.filter((name) => name.startsWith('copy-'));
      expect(copies[0]).to.equal(`${copyId(damaged.length)}.1.resize`);
      expect(copies).to.have.length(COPIES - damaged.length);
    });
  });
});
