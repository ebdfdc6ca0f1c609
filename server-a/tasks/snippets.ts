import type { Clock } from '../../shared/clock.ts';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';
import { DEFAULT_TOP_K } from '../../shared/operations/classify.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import { type Box, boxesSchema, type Snippet } from '../../shared/snippet.ts';
import type { Task } from '../../shared/task.ts';
import type { Admission } from '../intake/admission.ts';
import type { ReceivedPicture } from '../intake/receive.ts';
import { json, toTask } from '../store/row.ts';
import type { Store } from '../store/store.ts';

const boxesText = json(boxesSchema).nullable();

/** The outputs that every snippet picture gets. */
export const SNIPPET_OUTPUTS: readonly OutputSpec[] = [
  { name: 'classify', operation: 'classify', top_k: DEFAULT_TOP_K },
];

/** A change of a snippet: a new picture with its boxes, or boxes alone for the newest picture. */
export interface SnippetChange {
  readonly received?: ReceivedPicture | undefined;
  readonly boxes?: readonly Box[] | undefined;
}

/** Snippets. A snippet's newest picture is a task. The row of that task also has the boxes, so both always match. */
export class Snippets {
  readonly #store: Store;
  readonly #admission: Admission;
  readonly #clock: Clock;

  constructor(store: Store, admission: Admission, clock: Clock) {
    this.#store = store;
    this.#admission = admission;
    this.#clock = clock;
  }

  /** The snippet. Throws NOT_FOUND when it has neither a picture nor boxes. */
  get(name: number): Snippet {
    const newest = this.#store.newestOf(name);
    if (newest !== undefined) {
      const boxes = boxesText.parse(newest.boxes) ?? [];
      return snippet(name, toTask(newest), boxes, Math.max(newest.created_at, newest.boxes_at ?? 0));
    }
    const drawn = this.#store.boxesOf(name);
    if (drawn !== undefined) return snippet(name, null, drawn.boxes, drawn.updated_at);
    throw new DarkroomError('NOT_FOUND', expectedMessage('the number of a known snippet', 'the snippet', name));
  }

  /** Stores the boxes with the newest picture, or alone without one. Durable when it resolves. Throws STORAGE_FULL. */
  async putBoxes(name: number, boxes: readonly Box[]): Promise<Snippet> {
    const now = this.#clock.now();
    const text = JSON.stringify(boxes);
    this.#admission.checkRecords(Buffer.byteLength(text));
    const parameters = { snippet: name, boxes: text, now };
    const [drawn] = await this.#store.write({ statement: 'drawBoxes', parameters });
    if (drawn === undefined) {
      await this.#store.write({ statement: 'putBoxes', parameters: { name, boxes: text, now } });
    }
    const row = drawn === undefined ? undefined : this.#store.find(drawn.id);
    return snippet(name, row === undefined ? null : toTask(row), boxes, now);
  }
}

function snippet(name: number, task: Task | null, boxes: readonly Box[], updated: number): Snippet {
  return { name, task, boxes: [...boxes], updated_at: new Date(updated).toISOString() };
}
