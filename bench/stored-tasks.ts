import { linkSync, readdirSync } from 'node:fs';
import { copyFile, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { z } from 'zod';
import { openForWriting } from '../server-a/store/schema.ts';
import { freePort } from './free-port.ts';
import type { Pictures } from './inputs.ts';
import { startService } from './service.ts';
import { completed, submit } from './submit.ts';
import type { Task } from './work.ts';

/** How many tasks a data folder has. */
export interface StoredCounts {
  readonly completed: number;
  readonly queued: number;
}

/** Names of one file: copies would take longer to make, and ext4 allows 65,000 names. */
const MOST_LINKS = 10_000;

const columnsSchema = z.array(z.object({ name: z.string() }));
const idsSchema = z.array(z.object({ id: z.string() }));

/**
 * Makes a data folder with many tasks, below `parent`. Two tasks are real, one that has completed and one that waits; all
 * others are copies of their records and pictures, because it would take half an hour to upload them.
 */
export async function makeStored(parent: string, pictures: Pictures, counts: StoredCounts): Promise<string> {
  const dataDir = await mkdtemp(join(parent, 'stored-'));
  const picture = await pictures.jpegOf(160, 4000);
  const task: Task = { picture, outputs: [{ name: 'resize', operation: 'resize', width: 40 }] };
  const together = await startService(['--no-model-fetch'], { dataDir });
  const done = await submitAndWait(together.url, task).finally(() => together.close());
  // Without a Server B the task stays in the queue.
  const flags = ['--server-b', `127.0.0.1:${await freePort()}`];
  const alone = await startService(flags, { dataDir, command: 'server-a' });
  const queued = await submit(alone.url, task).finally(() => alone.close());
  await copy(dataDir, done, counts.completed - 1);
  await copy(dataDir, queued, counts.queued - 1);
  return dataDir;
}

async function submitAndWait(origin: string, task: Task): Promise<string> {
  const id = await submit(origin, task);
  await completed(origin, id);
  return id;
}

/** Adds `count` copies of a task to a data folder that no process uses. */
async function copy(dataDir: string, id: string, count: number): Promise<void> {
  const ids = copyRecords(dataDir, id, count);
  const spool = join(dataDir, 'spool');
  const endings = readdirSync(spool).flatMap((name) => (name.startsWith(`${id}.`) ? [name.slice(id.length)] : []));
  const groups = Array.from({ length: Math.ceil(ids.length / MOST_LINKS) }, (_, index) =>
    ids.slice(index * MOST_LINKS, (index + 1) * MOST_LINKS),
  );
  for (const [first, ...others] of groups) {
    if (first === undefined) continue;
    for (const ending of endings) {
      const file = join(spool, first + ending);
      await copyFile(join(spool, id + ending), file);
      for (const other of others) linkSync(file, join(spool, other + ending));
    }
  }
}

/** Gives the ids of the copies. */
function copyRecords(dataDir: string, id: string, count: number): string[] {
  const database = openForWriting(join(dataDir, 'store.db'));
  try {
    const all = columnsSchema.parse(database.prepare('PRAGMA table_info(tasks)').all());
    const columns = all.map(({ name }) => name).filter((name) => name !== 'id' && name !== 'sequence');
    const rows = database
      .prepare(`
        WITH RECURSIVE copies (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copies WHERE number < ?)
        INSERT INTO tasks (id, ${columns.join(', ')})
        SELECT substr(hex(randomblob(11)), 1, 21), ${columns.join(', ')}
        FROM tasks, copies WHERE id = ? RETURNING id`)
      .all(count, id);
    const ids = idsSchema.parse(rows).map((row) => row.id);
    copyPictures(database, id, ids);
    return ids;
  } finally {
    database.close();
  }
}

/** Copies the small pictures of a task, which are in the store itself. */
function copyPictures(database: DatabaseSyncInstance, id: string, copies: readonly string[]): void {
  const copy = database.prepare(`
    INSERT INTO pictures (name, size, bytes) SELECT ? || substr(name, ?), size, bytes
    FROM pictures WHERE name > ? || '.' AND name < ? || '/'`);
  database.exec('BEGIN');
  for (const other of copies) copy.run(other, id.length + 1, id, id);
  database.exec('COMMIT');
}
