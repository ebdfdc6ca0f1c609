import { DarkroomError, expectedMessage } from '../../shared/errors.ts';
import type { Operation } from '../../shared/operations.ts';
import type { Box, Snippet } from '../../shared/snippet.ts';
import type { Admission } from './admission.ts';
import type { ReceivedPicture } from './reception.ts';
import type { Store } from './store.ts';
import { toTask } from './task-record.ts';

/** What is done to every picture of a snippet. */
export const SNIPPET_OPERATIONS: readonly Operation[] = [{ operation: 'classify', top_k: 5 }];

/** What a snippet gets: a picture, boxes, or both. */
export interface SnippetChange {
  readonly received?: ReceivedPicture | undefined;
  readonly boxes?: readonly Box[] | undefined;
}

/** Snippets: the boxes drawn in them, and among the tasks their newest picture. */
export class Snippets {
  readonly #store: Store;
  readonly #admission: Admission;

  constructor(store: Store, admission: Admission) {
    this.#store = store;
    this.#admission = admission;
  }

  /** Throws NOT_FOUND for a snippet that has neither a picture nor boxes. */
  get(name: number): Snippet {
    const newest = this.#store.newestOf(name);
    const drawn = this.#store.boxesOf(name);
    const times = [newest?.created_at, drawn?.updated_at].filter((time) => time !== undefined);
    if (times.length === 0) {
      throw new DarkroomError(
        'NOT_FOUND',
        expectedMessage('the number of a snippet that was put', 'the snippet', name),
      );
    }
    return {
      name,
      task: newest === undefined ? null : toTask(newest),
      boxes: drawn?.boxes ?? [],
      updated_at: new Date(Math.max(...times)).toISOString(),
    };
  }

  /** Durable when it resolves. Throws STORAGE_FULL. */
  async putBoxes(name: number, boxes: readonly Box[]): Promise<void> {
    const parameters = { name, boxes: JSON.stringify(boxes), now: Date.now() };
    this.#admission.checkRecords(Buffer.byteLength(parameters.boxes));
    await this.#store.write({ statement: 'putBoxes', parameters });
  }
}
