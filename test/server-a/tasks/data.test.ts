import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { MOST_WITHOUT_RECORD } from '../../../server-a/tasks/record-gate.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { pictureNames } from '../../support/stored-pictures.ts';
import { defaultOptions, makeLargePicture, openTasks, RESIZE, submitPicture, useTasks } from './support.ts';

const WEEK = 7 * 24 * 60 * 60 * 1000;
const STORE = 'store.db';
const WAL = 'store.db-wal';
const SHM = 'store.db-shm';

/** A data folder as a test left it, and what SQLite made of its store before that. */
interface Damage {
  readonly title: string;
  /** `killed`: the process was killed with three tasks; `stopped`: it was stopped. */
  readonly from: 'killed' | 'stopped';
  readonly damage: (folder: string) => Promise<void>;
  readonly found: string;
}

const remove =
  (...names: string[]) =>
  async (folder: string) => {
    for (const name of names) await rm(join(folder, name), { force: true });
  };
const cut = (name: string, part: number) => async (folder: string) => {
  const path = join(folder, name);
  await truncate(path, Math.floor((await stat(path)).size * part));
};
/** The bytes of a log up to its last commit, by the memory beside it. */
async function logBytes(folder: string): Promise<number> {
  const frames = (await readFile(join(folder, SHM))).readUInt32LE(16);
  return 32 + frames * (24 + 4096);
}
/** Inverts a byte of the log at a part of what SQLite reads of it. */
const damageLog = (part: number) => async (folder: string) => {
  const path = join(folder, WAL);
  const bytes = await readFile(path);
  const position = Math.floor((await logBytes(folder)) * part);
  bytes[position] = ~(bytes[position] ?? 0) & 0xff;
  await writeFile(path, bytes);
};
const cutLog = (part: number) => async (folder: string) => {
  await truncate(join(folder, WAL), Math.floor((await logBytes(folder)) * part));
};
/** Inverts the bytes of a file from a part of its length on. */
const damage = (name: string, part: number, length: number) => async (folder: string) => {
  const path = join(folder, name);
  const bytes = await readFile(path);
  const start = Math.floor(bytes.length * part);
  for (let index = start; index < start + length; index += 1) bytes[index] = ~(bytes[index] ?? 0) & 0xff;
  await writeFile(path, bytes);
};
const both = (first: Damage['damage'], second: Damage['damage']) => async (folder: string) => {
  await first(folder);
  await second(folder);
};

const DAMAGES: readonly Damage[] = [
  { title: 'a deleted store', from: 'stopped', damage: remove(STORE, WAL, SHM), found: 'store.db is missing' },
  { title: 'an emptied store', from: 'stopped', damage: cut(STORE, 0), found: 'store.db has 0 bytes' },
  { title: 'half a store', from: 'stopped', damage: cut(STORE, 0.5), found: 'store.db is damaged' },
  { title: 'a damaged page', from: 'stopped', damage: damage(STORE, 0.25, 5000), found: 'store.db is damaged' },
  { title: 'a damaged first page', from: 'stopped', damage: damage(STORE, 0, 16), found: 'store.db is not a SQLite' },
  { title: 'a damaged schema', from: 'stopped', damage: damage(STORE, 0.003, 3000), found: 'store.db is damaged' },
  { title: 'a store deleted beside its log', from: 'killed', damage: remove(STORE), found: 'store.db-wal' },
  { title: 'a deleted log', from: 'killed', damage: remove(WAL), found: 'missing or empty' },
  { title: 'a deleted log and its memory', from: 'killed', damage: remove(WAL, SHM), found: 'missing or empty' },
  { title: 'an emptied log', from: 'killed', damage: cut(WAL, 0), found: 'missing or empty' },
  { title: 'half a log', from: 'killed', damage: cutLog(0.5), found: 'store.db-wal is damaged or cut off' },
  { title: 'a log without its last frame', from: 'killed', damage: cutLog(0.99), found: 'damaged or cut off' },
  { title: 'a log with a damaged head', from: 'killed', damage: damage(WAL, 0, 32), found: 'store.db-wal, which held' },
  {
    title: 'a log damaged in the middle',
    from: 'killed',
    damage: damageLog(0.5),
    found: 'store.db-wal is damaged or cut off',
  },
  {
    title: 'a log damaged in the middle, without its memory',
    from: 'killed',
    damage: both(damageLog(0.5), remove(SHM)),
    found: 'store.db-wal is damaged or cut off',
  },
  {
    title: 'another store',
    from: 'stopped',
    damage: async (folder) => {
      const other = await openTasks(defaultOptions(join(folder, 'other')));
      await other.close();
      for (const name of [STORE, WAL, SHM]) await cp(join(folder, 'other', name), join(folder, name));
      await rm(join(folder, 'other'), { recursive: true });
    },
    found: 'store.db is not the store that the marker names',
  },
  {
    title: 'an older copy of the store',
    from: 'stopped',
    damage: async (folder) => {
      const copy = await readFile(join(folder, STORE));
      const tasks = await openTasks(defaultOptions(folder));
      await submitPicture(tasks);
      await tasks.close();
      await writeFile(join(folder, STORE), copy);
    },
    found: 'store.db is an older copy of the store',
  },
  {
    title: 'files without marker and store',
    from: 'stopped',
    damage: remove(STORE, WAL, SHM, 'store.json'),
    found: 'store.db is missing, but there is 1 file in the spool',
  },
];

describe('a data folder', () => {
  const { folder: root, open } = useTasks();
  let templates: string;
  let ids: readonly string[];

  /** Copies of one folder with three tasks: while the process runs, as a kill would leave it, and after its stop. */
  before(async () => {
    templates = await mkdtemp(join(tmpdir(), 'darkroom-data-'));
    const dataDir = join(templates, 'stopped');
    const tasks = await openTasks(defaultOptions(dataDir));
    const large = await submitPicture(tasks, [RESIZE], makeLargePicture());
    const submitted = [large, await submitPicture(tasks), await submitPicture(tasks)];
    ids = submitted.map(({ task_id }) => task_id);
    await cp(dataDir, join(templates, 'killed'), { recursive: true });
    await tasks.close();
  });
  after(() => rm(templates, { recursive: true, force: true }));

  async function copyOf(from: Damage['from']): Promise<string> {
    const folder = join(root(), 'data');
    await cp(join(templates, from), folder, { recursive: true });
    return folder;
  }

  const pending = (tasks: Tasks) => tasks.records.waiting().map(({ id }) => id);

  /** Every file of a folder with its hash, except those of the lock, which are made by each start. */
  async function contentOf(folder: string): Promise<Record<string, string>> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith('lock.'));
    const hashed = files.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      return [
        path.slice(folder.length),
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      ] as const;
    });
    return Object.fromEntries(await Promise.all(hashed));
  }

  for (const from of ['killed', 'stopped'] as const) {
    it(`opens with all its tasks after the process was ${from}`, async () => {
      const dataDir = await copyOf(from);
      expect(pending(await open({ dataDir }))).to.deep.equal(ids);
    });
  }

  for (const { title, from, damage: harm, found } of DAMAGES) {
    it(`with ${title} is refused and left as it is`, async () => {
      const dataDir = await copyOf(from);
      await harm(dataDir);
      const before = await contentOf(dataDir);
      const error: unknown = await open({ dataDir }).catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'BAD_REQUEST' });
      expect(String(error)).to.contain(found).and.contain('restore a backup').and.contain('--new-store');
      const after = await contentOf(dataDir);
      // SQLite may have written the memory beside the log, which has no records of its own.
      delete before[`/${SHM}`];
      delete after[`/${SHM}`];
      expect(after).to.deep.equal(before);
    });
  }

  for (const [title, from, harm] of [
    ['lost its store', 'stopped', remove(STORE, WAL, SHM)],
    ['has a damaged page', 'stopped', damage(STORE, 0.25, 5000)],
    ['lost its log', 'killed', remove(WAL)],
  ] as const) {
    it(`that ${title} starts with --new-store, which moves every file to lost+found, once`, async () => {
      const dataDir = await copyOf(from);
      await harm(dataDir);
      const before = await contentOf(dataDir);
      const tasks = await open({ dataDir, newStore: true });
      expect(tasks.counts()).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
      expect(await pictureNames(dataDir)).to.deep.equal([]);
      const [lost = ''] = await readdir(join(dataDir, 'lost+found'));
      const names = Object.keys(before).map((path) => path.split('/').at(-1));
      expect(await readdir(join(dataDir, 'lost+found', lost))).to.include.members(names);
      const { task_id } = await submitPicture(tasks);
      await tasks.close();
      expect(pending(await open({ dataDir, newStore: true }))).to.deep.equal([task_id]);
    });
  }

  it('opens when a power cut left the last transaction incomplete', async () => {
    const dataDir = await copyOf('killed');
    await both(damageLog(0.99), remove(SHM))(dataDir);
    expect(pending(await open({ dataDir }))).to.deep.equal(ids.slice(0, 2));
  });

  it('opens when the log was used again and older frames follow', async () => {
    const dataDir = join(root(), 'data');
    const tasks = await open({ dataDir });
    const { task_id } = await submitPicture(tasks);
    const other = new DatabaseSync(join(dataDir, STORE));
    other.exec('PRAGMA wal_checkpoint(RESTART)');
    const again = (await submitPicture(tasks)).task_id;
    const copy = join(root(), 'copy');
    await cp(dataDir, copy, { recursive: true });
    other.close();
    expect(pending(await open({ dataDir: copy }))).to.deep.equal([task_id, again]);
  });

  it('without a marker, or with one that cannot be read, gets one from its store', async () => {
    const dataDir = await copyOf('stopped');
    const marker = join(dataDir, 'store.json');
    const { store } = JSON.parse(await readFile(marker, 'utf8'));
    for (const harm of [() => rm(marker), () => writeFile(marker, '')]) {
      await harm();
      await (await open({ dataDir })).close();
      expect(JSON.parse(await readFile(marker, 'utf8'))).to.include({ store });
    }
  });

  it('of a Darkroom without markers opens, also with files that its crash left', async () => {
    const dataDir = await copyOf('stopped');
    const database = new DatabaseSync(join(dataDir, STORE));
    database.exec('DROP TABLE identity');
    database.close();
    await rm(join(dataDir, 'store.json'));
    await strays(dataDir, MOST_WITHOUT_RECORD + 1);
    expect(pending(await open({ dataDir }))).to.deep.equal(ids);
  });

  async function strays(dataDir: string, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      await writeFile(join(dataDir, 'spool', `${`${index}`.padStart(21, 'x')}.input`), 'picture');
    }
  }

  it('with more inputs without a record than can have been under way is refused', async () => {
    const dataDir = await copyOf('stopped');
    await (await open({ dataDir })).close();
    await strays(dataDir, MOST_WITHOUT_RECORD + 1);
    const error: unknown = await open({ dataDir }).catch((reason: unknown) => reason);
    expect(String(error)).to.contain(`${MOST_WITHOUT_RECORD + 1} pictures in the spool have no record`);
    expect(await pictureNames(dataDir)).to.have.length(ids.length + MOST_WITHOUT_RECORD + 1);
    const tasks = await open({ dataDir, newStore: true });
    expect(await pictureNames(dataDir)).to.deep.equal([]);
    expect(tasks.counts()).to.include({ pending: 0 });
  });

  it('keeps files without a record in lost+found for a week', async () => {
    const dataDir = await copyOf('stopped');
    await strays(dataDir, 2);
    await mkdir(join(dataDir, 'lost+found', '#1234'), { recursive: true });
    const clock = new ManualClock();
    const tasks = await open({ dataDir }, { clock });
    const lost = async () => (await readdir(join(dataDir, 'lost+found'))).filter((name) => name !== '#1234');
    const [folder = ''] = await lost();
    expect(await readdir(join(dataDir, 'lost+found', folder))).to.have.length(2);
    expect((await stat(join(dataDir, 'lost+found', folder))).mode & 0o777).to.equal(0o700);
    expect(await pictureNames(dataDir)).to.have.length(ids.length);
    await tasks.close();
    for (const [after, count] of [
      [WEEK - 1, 1],
      [1, 0],
    ] as const) {
      clock.advance(after);
      await (await open({ dataDir }, { clock })).close();
      expect(await lost()).to.have.length(count);
    }
    expect(await readdir(join(dataDir, 'lost+found'))).to.deep.equal(['#1234']);
  });

  it('is private with all that is in it, also one of an older Darkroom', async () => {
    const dataDir = await copyOf('killed');
    await mkdir(join(dataDir, 'model'));
    await mkdir(join(dataDir, 'lost+found'));
    await writeFile(join(dataDir, 'model', 'synset.txt'), '');
    for (const path of await readdir(dataDir, { recursive: true })) {
      const isFolder = (await stat(join(dataDir, path))).isDirectory();
      await chmod(join(dataDir, path), isFolder ? 0o755 : 0o644);
    }
    await chmod(dataDir, 0o755);
    await writeFile(join(dataDir, 'not-ours'), '', { mode: 0o644 });
    await submitPicture(await open({ dataDir }));
    const paths = ['.', ...(await readdir(dataDir, { recursive: true }))];
    expect(paths).to.include.members([STORE, WAL, SHM, 'store.json', 'lock.db', 'lock.json']);
    const modes = paths.map(async (path) => ({ path, mode: (await stat(join(dataDir, path))).mode & 0o077 }));
    expect((await Promise.all(modes)).filter(({ mode }) => mode !== 0)).to.deep.equal([
      { path: 'not-ours', mode: 0o044 },
    ]);
  });

  it('is private with all that is in it when it is new', async () => {
    const dataDir = join(root(), 'data');
    await submitPicture(await open({ dataDir }));
    const paths = ['.', ...(await readdir(dataDir, { recursive: true }))];
    const modes = await Promise.all(paths.map(async (path) => (await stat(join(dataDir, path))).mode & 0o077));
    expect(modes.filter((mode) => mode !== 0)).to.deep.equal([]);
  });

  it('has every record in store.db after a stop', async () => {
    const dataDir = join(root(), 'data');
    const tasks = await open({ dataDir });
    const { task_id } = await submitPicture(tasks);
    await tasks.close();
    const left = await readdir(dataDir);
    if (left.includes(WAL)) expect((await stat(join(dataDir, WAL))).size).to.equal(0);
    await remove(WAL, SHM)(dataDir);
    expect(pending(await open({ dataDir }))).to.deep.equal([task_id]);
  });
});
