import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { z } from 'zod';
import { DarkroomError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { openForReading } from './schema.ts';
import type { ChangedRow, Command } from './store-commands.ts';
import { type TaskRow, taskRowSchema } from './task-record.ts';
import { WriteQueue } from './write-queue.ts';

const waitingSchema = z.array(z.object({ id: z.string(), suspect: z.number() }));
const countSchema = z.object({ pending: z.int(), processing: z.int() });

/** The task records on disk: writes go through the writer thread, reads happen here, by prepared statements. */
export class Store {
  readonly #log: Logger;
  readonly #writer: WriteQueue;
  readonly #database: DatabaseSyncInstance;
  readonly #find: StatementSyncInstance;
  readonly #waiting: StatementSyncInstance;
  readonly #count: StatementSyncInstance;

  private constructor(writer: WriteQueue, database: DatabaseSyncInstance, log: Logger) {
    this.#log = log;
    this.#writer = writer;
    this.#database = database;
    this.#find = database.prepare('SELECT * FROM tasks WHERE id = ?');
    this.#waiting = database.prepare(
      "SELECT id, suspect FROM tasks WHERE finished_at IS NULL AND status = 'pending' ORDER BY sequence",
    );
    this.#count = database.prepare(
      `SELECT count(*) FILTER (WHERE status = 'pending') AS pending,
        count(*) FILTER (WHERE status = 'processing') AS processing FROM tasks WHERE finished_at IS NULL`,
    );
  }

  /**
   * Opens the database file at `path`, or makes it. Throws when it is no store of this version or cannot be written
   * safely. `onFatal` is called once if the writer thread dies; nothing can be written after that.
   */
  static async open(path: string, log: Logger, onFatal: (error: Error) => void): Promise<Store> {
    const writer = await WriteQueue.start(new URL('./store-writer.js', import.meta.url), path, onFatal);
    try {
      return new Store(writer, openForReading(path), log);
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  /** False once the writer thread has died or the store was closed. */
  get isWritable(): boolean {
    return this.#writer.isOpen;
  }

  /** Resolves with the rows the command changed, when they are on disk. Rejects as {@link WriteQueue.write} does. */
  write(command: Command): Promise<ChangedRow[]> {
    return this.#writer.write(command);
  }

  /** The task's row, or undefined. Throws INTERNAL for a row that is not what was written, and logs what is wrong. */
  find(id: string): TaskRow | undefined {
    const raw = this.#find.get(id);
    if (raw === undefined) return undefined;
    const parsed = taskRowSchema.safeParse(raw);
    if (parsed.success) return parsed.data;
    this.#log.error({ task_id: id, issues: parsed.error.issues }, 'the row of this task is damaged');
    throw new DarkroomError('INTERNAL', `Expected a sound record of task ${id}, received a damaged one`);
  }

  /** Tasks that wait, in the order they were submitted. */
  waiting(): { id: string; suspect: boolean }[] {
    return waitingSchema.parse(this.#waiting.all()).map(({ id, suspect }) => ({ id, suspect: suspect === 1 }));
  }

  /** How many tasks wait and run. */
  count(): { pending: number; processing: number } {
    return countSchema.parse(this.#count.get());
  }

  /** Writes what has been given and closes the file. Idempotent. */
  async close(): Promise<void> {
    await this.#writer.close();
    if (this.#database.isOpen) this.#database.close();
  }
}
