import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { z } from 'zod';
import { DarkroomError } from '../../shared/errors.ts';
import { failpointAfter } from '../../shared/failpoint.ts';
import type { Logger } from '../../shared/log.ts';
import { type Box, boxesSchema } from '../../shared/snippet.ts';
import type { Identity } from './identity.ts';
import { LiveRows } from './live-rows.ts';
import type { Marker } from './marker.ts';
import { isDamage } from './refusal.ts';
import { json, type TaskRow, type TaskState, taskRowSchema, taskStateSchema } from './row.ts';
import { openForReading } from './schema.ts';
import { type ChangedRow, type Command, FAILPOINTS } from './statements.ts';
import { WriteQueue } from './write-queue.ts';

const waitingSchema = z.array(z.object({ id: z.string(), suspect: z.number() }));
const countSchema = z.object({ pending: z.int(), listed: z.int(), processing: z.int() });
const idsSchema = z.array(z.object({ id: z.string() }));
const snippetsSchema = z.array(z.object({ snippet: z.int() }));
/** The names of a page of files, and the bytes of each. Those of damaged rows may be anything. */
const ownedPageSchema = z.object({
  last: z.int().nullable(),
  names: json(z.array(z.unknown())),
  bytes: json(z.array(z.unknown())),
});
const freePagesSchema = z.object({ freelist_count: z.int() });
const boxesRowSchema = z.object({ boxes: json(boxesSchema), updated_at: z.int() });

const quarantineRowSchema = z.object({
  sha256: z.string(),
  task_id: z.string(),
  filename: z.string().nullable(),
  since: z.int(),
});

/** A picture that has crashed Server B: its SHA-256, the task in which it did so last, and when, since 1970. */
export type QuarantineRow = z.infer<typeof quarantineRowSchema>;

/** Tasks of one page of {@link Store.ownedFiles}. With a row for each task, it would take twice as long. */
const OWNED_PAGE = 1000;

/** The SQL of every read. */
const READS = {
  find: 'SELECT * FROM tasks WHERE id = ?',
  state: 'SELECT id, status, stage, attempt, outputs_kept, original_kept FROM tasks WHERE id = ?',
  waiting: `
    SELECT id, suspect FROM tasks WHERE finished_at IS NULL AND status = 'pending' AND stage = 'ready'
    ORDER BY sequence`,
  listed: `
    SELECT id FROM tasks WHERE finished_at IS NULL AND status = 'pending' AND stage = 'listed'
    ORDER BY sequence LIMIT ?`,
  unacknowledged: 'SELECT id FROM tasks WHERE audience = ? AND finished_at IS NOT NULL ORDER BY finished_at, sequence',
  count: `
    SELECT count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE stage = 'listed') AS listed,
      count(*) FILTER (WHERE status = 'processing') AS processing FROM tasks WHERE finished_at IS NULL`,
  ownedInputs: `
    SELECT max(sequence) AS last, json_group_array(id || '.input') AS names, json_group_array(bytes) AS bytes
    FROM (
      SELECT sequence, id, bytes FROM tasks
      WHERE sequence > ? AND (original_kept = 1 OR (finished_at IS NULL AND stage = 'ready'))
      ORDER BY sequence LIMIT ${OWNED_PAGE})`,
  // A damaged column has no outputs here, because one that JSON functions refuse would fail the whole page.
  ownedOutputs: `
    WITH page AS MATERIALIZED (
      SELECT sequence, id, attempt, iif(json_valid(outputs), outputs, '[]') AS outputs FROM tasks
      WHERE sequence > ? AND outputs_kept = 1 ORDER BY sequence LIMIT ${OWNED_PAGE})
    SELECT max(sequence) AS last, json_group_array(value ->> '$.header.bytes') AS bytes,
      json_group_array(page.id || '.' || attempt || '.' || (value ->> '$.header.name')) AS names
    FROM page LEFT JOIN jsonb_each(outputs) AS output
      ON iif(output.type = 'object', value ->> '$.header.kind' = 'picture', 0)`,
  newest: 'SELECT * FROM tasks WHERE snippet = ? AND original_kept = 1 ORDER BY sequence DESC LIMIT 1',
  crowded: `
    SELECT snippet FROM tasks WHERE snippet IS NOT NULL AND original_kept = 1 GROUP BY snippet HAVING count(*) > 1`,
  boxes: 'SELECT boxes, updated_at FROM snippets WHERE name = ?',
  quarantined: 'SELECT * FROM quarantine WHERE sha256 = ?',
  allQuarantined: 'SELECT * FROM quarantine ORDER BY since',
  picture: 'SELECT bytes FROM pictures WHERE name = ?',
  freePages: 'PRAGMA freelist_count',
} as const;

/** The boxes of a snippet without a picture. */
export interface BoxesRow {
  readonly boxes: Box[];
  /** Milliseconds since 1970. */
  readonly updated_at: number;
}

/** The task records on disk. The writer thread writes; the main thread reads with prepared statements. */
export class Store {
  readonly #log: Logger;
  readonly #writer: WriteQueue;
  readonly #database: DatabaseSyncInstance;
  readonly #reads: Readonly<Record<keyof typeof READS, StatementSyncInstance>>;
  readonly #live = new LiveRows();

  private constructor(writer: WriteQueue, database: DatabaseSyncInstance, log: Logger) {
    this.#log = log;
    this.#writer = writer;
    this.#database = database;
    const prepare = (name: keyof typeof READS) => database.prepare(READS[name]);
    this.#reads = {
      find: prepare('find'),
      state: prepare('state'),
      waiting: prepare('waiting'),
      listed: prepare('listed'),
      unacknowledged: prepare('unacknowledged'),
      count: prepare('count'),
      ownedInputs: prepare('ownedInputs'),
      ownedOutputs: prepare('ownedOutputs'),
      newest: prepare('newest'),
      crowded: prepare('crowded'),
      boxes: prepare('boxes'),
      quarantined: prepare('quarantined'),
      allQuarantined: prepare('allQuarantined'),
      picture: prepare('picture'),
      freePages: prepare('freePages'),
    };
  }

  /**
   * Opens or creates the database file at `path`; `marker` says which store it must be. Throws like
   * {@link WriteQueue.start}. `onFatal` is called once if the writer thread dies; nothing can be written after that.
   */
  static async open(path: string, log: Logger, onFatal: (error: Error) => void, marker: Marker = null): Promise<Store> {
    const script = new URL('./writer-thread.js', import.meta.url);
    const writer = await WriteQueue.start(script, { path, marker }, onFatal);
    try {
      return new Store(writer, openForReading(path), log);
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  /** The identity for the marker. */
  get identity(): Identity {
    return this.#writer.identity;
  }

  /** False once the writer thread has died or the store was closed. */
  get isWritable(): boolean {
    return this.#writer.isOpen;
  }

  /** The size of all pictures in the store, in bytes. */
  get pictureBytes(): number {
    return this.#writer.pictureBytes;
  }

  /** The number of pages in the file that nothing uses. */
  get freePages(): number {
    return freePagesSchema.parse(this.#reads.freePages.get()).freelist_count;
  }

  /** Resolves with the changed rows when they are on disk. Rejects like {@link WriteQueue.write}. */
  write(command: Command): Promise<ChangedRow[]> {
    const committed = this.#writer.write(command).then((changed) => {
      // Before the caller goes on, so that it does not read the old row.
      this.#live.drop(changed);
      return changed;
    });
    return failpointAfter(committed, FAILPOINTS[command.statement]);
  }

  /** The task's row, or undefined. Throws INTERNAL for a damaged row and logs what is wrong with it. */
  find(id: string): TaskRow | undefined {
    const known = this.#live.get(id);
    if (known !== undefined) return known;
    const row = this.#readRow(taskRowSchema, this.#reads.find.get(id));
    if (row !== undefined) this.#live.keep(row);
    return row;
  }

  /** The task's state, or undefined. Cheaper than {@link find}, which also parses JSON. Throws like {@link find}. */
  stateOf(id: string): TaskState | undefined {
    return this.#readRow(taskStateSchema, this.#reads.state.get(id));
  }

  /** Tasks that wait for a lane, in the order of submission. */
  waiting(): { id: string; suspect: boolean }[] {
    return waitingSchema.parse(this.#reads.waiting.all()).map(({ id, suspect }) => ({ id, suspect: suspect === 1 }));
  }

  /** Ids of at most `limit` listed tasks that wait to be fetched, oldest first. */
  listed(limit: number): string[] {
    return idsSchema.parse(this.#reads.listed.all(limit)).map(({ id }) => id);
  }

  /** Ids of ended tasks that `audience` has not acknowledged, in the order of their ends. */
  unacknowledged(audience: string): string[] {
    return idsSchema.parse(this.#reads.unacknowledged.all(audience)).map(({ id }) => id);
  }

  /** The number of pending tasks, of listed tasks among them, and of processing tasks. */
  count(): { pending: number; listed: number; processing: number } {
    return countSchema.parse(this.#reads.count.get());
  }

  /**
   * The files that the records need, by the names that spool.ts gives them, and their bytes. Read in pages, so that
   * memory is bounded. Files of a damaged row may be missing; {@link find} tells what is wrong with it.
   */
  *ownedFiles(): Generator<{ readonly name: string; readonly bytes: number }> {
    yield* this.#ownedPages('ownedInputs');
    yield* this.#ownedPages('ownedOutputs');
  }

  *#ownedPages(read: 'ownedInputs' | 'ownedOutputs') {
    let after: number | null = 0;
    while (after !== null) {
      const page = ownedPageSchema.parse(this.#reads[read].get(after));
      for (const [index, name] of page.names.entries()) {
        const bytes = page.bytes[index];
        if (typeof name === 'string' && typeof bytes === 'number') yield { name, bytes };
      }
      after = page.last;
    }
  }

  /** The row of the snippet's newest picture, or undefined. Throws like {@link find}. */
  newestOf(snippet: number): TaskRow | undefined {
    return this.#readRow(taskRowSchema, this.#reads.newest.get(snippet));
  }

  /** Snippets that keep more than their newest picture. */
  crowdedSnippets(): number[] {
    return snippetsSchema.parse(this.#reads.crowded.all()).map(({ snippet }) => snippet);
  }

  /** The boxes of a snippet without a picture, or undefined. */
  boxesOf(snippet: number): BoxesRow | undefined {
    return boxesRowSchema.optional().parse(this.#reads.boxes.get(snippet));
  }

  /** The row of a picture in quarantine, or undefined. */
  quarantined(sha256: string): QuarantineRow | undefined {
    return quarantineRowSchema.optional().parse(this.#reads.quarantined.get(sha256));
  }

  /** All pictures in quarantine, oldest first. */
  allQuarantined(): QuarantineRow[] {
    return z.array(quarantineRowSchema).parse(this.#reads.allQuarantined.all());
  }

  /** The bytes of a small picture, or undefined. Throws SPOOL_CORRUPT when they cannot be read. */
  picture(name: string): Buffer | undefined {
    try {
      const bytes = this.#reads.picture.get(name)?.['bytes'];
      return bytes instanceof Uint8Array ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : undefined;
    } catch (error) {
      if (!isDamage(error)) throw error;
      throw new DarkroomError('SPOOL_CORRUPT', 'The stored picture cannot be read.', { cause: error });
    }
  }

  #readRow<Row>(schema: z.ZodType<Row>, raw: Readonly<Record<string, unknown>> | undefined): Row | undefined {
    if (raw === undefined) return undefined;
    const parsed = schema.safeParse(raw);
    if (parsed.success) return parsed.data;
    const id = String(raw['id']);
    this.#log.error({ task_id: id, issues: parsed.error.issues }, 'the row of a task is damaged');
    throw new DarkroomError('INTERNAL', `The record of task ${id} is damaged.`);
  }

  /**
   * Commits all commands given before, moves every record to the database file, then closes it. Idempotent. This
   * connection is closed last: it only reads, so it cannot remove a write-ahead log that still has records.
   */
  async close(): Promise<void> {
    const { isClean, error } = await this.#writer.close();
    this.#live.clear();
    if (!this.#database.isOpen) return;
    this.#database.close();
    if (!isClean) this.#log.warn({ err: error }, 'records stay in the write-ahead log until the next start');
  }
}
