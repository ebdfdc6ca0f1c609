import { hasEnded } from '../../shared/task.ts';
import type { TaskRow } from './row.ts';

/** The most rows that are kept. A row takes one or two kilobytes. */
const MOST_ROWS = 1000;

/**
 * The parsed rows of tasks that have their picture and have not ended, because such a task is read several times. A row
 * stays until a change of it is announced, so it may be older than the last commit: a decision needs a compare-and-set.
 */
export class LiveRows {
  readonly #rows = new Map<string, TaskRow>();

  get(id: string): TaskRow | undefined {
    return this.#rows.get(id);
  }

  /** Keeps a row that was just read, in place of the oldest when there are too many. */
  keep(row: TaskRow): void {
    if (row.stage !== 'ready' || hasEnded(row.status)) return;
    const [oldest] = this.#rows.keys();
    if (this.#rows.size >= MOST_ROWS && oldest !== undefined) this.#rows.delete(oldest);
    this.#rows.set(row.id, row);
  }

  /** Drops all rows. */
  clear(): void {
    this.#rows.clear();
  }

  /** Drops rows that a commit has changed. */
  drop(changed: readonly { readonly id: string }[]): void {
    for (const { id } of changed) this.#rows.delete(id);
  }
}
