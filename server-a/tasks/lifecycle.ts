import { DarkroomError, type ErrorDescription } from '../../shared/errors.ts';
import { failpoint } from '../../shared/failpoint.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import type { Logger } from '../../shared/log.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { Box } from '../../shared/snippet.ts';
import { hasEnded, type Task } from '../../shared/task.ts';
import type { Admission } from '../intake/admission.ts';
import type { ReceivedPicture } from '../intake/receive.ts';
import type { Pictures } from '../pictures/pictures.ts';
import { inputName, outputName } from '../spool/spool.ts';
import { listedTask, type TaskRow, toTask } from '../store/row.ts';
import type { ChangedRow, PictureRow } from '../store/statements.ts';
import type { Store } from '../store/store.ts';
import type { System } from '../system.ts';
import type { Outbox } from './outbox.ts';
import { CANCELED, endParameters, failedWith, pictureNames } from './task-end.ts';
import type { Watchers } from './watchers.ts';

/** The parts that the lifecycle uses. */
export interface LifecycleParts {
  readonly store: Store;
  readonly pictures: Pictures;
  readonly admission: Admission;
  readonly watchers: Watchers;
  readonly outbox: Outbox;
  /** Milliseconds for which outputs are kept after a task's end. */
  readonly keepMs: number;
  readonly system: System;
  readonly log: Logger;
}

/** A picture that becomes a task, and has its name. */
export interface NewTask {
  readonly id: string;
  readonly filename: string | null;
  readonly header: ImageHeader;
  readonly bytes: number;
  readonly sha256: string;
  readonly specs: readonly OutputSpec[];
  /** Null when the picture is removed at the task's end. */
  readonly keep: Keep | null;
  /** What must be written of the picture itself with the record. */
  readonly pictures: readonly PictureRow[];
}

/** How long a picture is kept: until a time in milliseconds since 1970, or until its snippet has a newer picture. */
export type Keep = { readonly until: number } | { readonly snippet: number; readonly boxes: readonly Box[] };

/**
 * The state changes of a task, and what follows from each: pictures are removed, a place in the queue becomes free,
 * watchers are notified. The store decides each change by compare-and-set; the rest happens only when the change was
 * made. {@link Attempts} makes the changes of the dispatcher.
 */
export class Lifecycle {
  readonly #parts: LifecycleParts;

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
  }

  get #now(): number {
    return this.#parts.system.clock.now();
  }

  /** Throws INTERNAL when no record can be written any more, so that no file is made without one. */
  checkWritable(): void {
    if (!this.#parts.store.isWritable) throw new DarkroomError('INTERNAL', 'The store cannot be written any more.');
  }

  /** Stores a new task. The task takes over the place in the queue of its picture. */
  async insert({ id, filename, header, bytes, sha256, specs, keep, pictures }: NewTask): Promise<void> {
    const parameters = {
      id,
      filename,
      header: JSON.stringify(header),
      bytes,
      sha256,
      specs: JSON.stringify(specs),
      ...keepColumns(keep),
      now: this.#now,
    };
    await this.#parts.store.write({ statement: 'insert', parameters, pictures });
  }

  /** Stores a task for each URL, all or none. Throws QUEUE_FULL, STORAGE_FULL and DRAINING. */
  async insertListed(urls: readonly string[], specs: readonly OutputSpec[], audience: string | null): Promise<Task[]> {
    const { admission, store, system } = this.#parts;
    const listed = urls.map((url) => ({ id: system.newId(), url }));
    const tasks = JSON.stringify(listed.map(({ id, url }) => [id, url]));
    const now = this.#now;
    admission.list(listed.length, Buffer.byteLength(tasks));
    try {
      const parameters = { tasks, specs: JSON.stringify(specs), audience, now };
      await store.write({ statement: 'insertListed', parameters });
    } catch (error) {
      admission.unlist(listed.length);
      throw error;
    }
    return listed.map(({ id, url }) => listedTask(id, url, now));
  }

  /**
   * Gives a listed task its picture. The task takes over the picture and the place in the queue. False when the task had
   * ended.
   */
  async makeReady(
    id: string,
    { filename, header, bytes, sha256, picture, reservation }: ReceivedPicture,
  ): Promise<boolean> {
    const pictures = await picture.place(inputName(id));
    const parameters = { id, filename, header: JSON.stringify(header), bytes, sha256 };
    const [changed] = await this.#parts.store.write({ statement: 'makeReady', parameters, pictures });
    if (changed === undefined) return false;
    picture.keep();
    reservation.handOver();
    this.#parts.admission.unlist(1);
    this.changed(id);
    return true;
  }

  /** pending → failed; does nothing when the task is no longer pending. */
  async failWaiting(id: string, error: ErrorDescription): Promise<void> {
    const parameters = endParameters(id, failedWith(error), this.#now, this.#parts.keepMs);
    const [changed] = await this.#parts.store.write({ statement: 'endWaiting', parameters });
    if (changed !== undefined) await this.ended(changed);
  }

  /** pending or processing → canceled; false when the task had ended. */
  async cancel(id: string): Promise<boolean> {
    const parameters = endParameters(id, CANCELED, this.#now, this.#parts.keepMs);
    const [changed] = await this.#parts.store.write({ statement: 'endOpen', parameters });
    if (changed !== undefined) await this.ended(changed);
    return changed !== undefined;
  }

  /** Removes an ended task's record and pictures; false when it does not exist or its end is not acknowledged. */
  async forget(row: TaskRow): Promise<boolean> {
    const { store, pictures } = this.#parts;
    const [changed] = await store.write({ statement: 'forget', parameters: { id: row.id } });
    if (changed === undefined) return false;
    const outputs = pictureNames(row.outputs).map((name) => outputName(row.id, row.attempt, name));
    await pictures.remove(changed, [...outputs, ...(changed.original_kept === 1 ? [inputName(row.id)] : [])]);
    return true;
  }

  /** Removes all pictures of the snippet except the newest, and the boxes that were put before it had a picture. */
  async releaseOlder(snippet: number): Promise<void> {
    const { store, pictures } = this.#parts;
    const parameters = { snippet, now: this.#now };
    const [released] = await Promise.all([
      store.write({ statement: 'releaseOlder', parameters }),
      store.write({ statement: 'removeBoxes', parameters: { snippet } }),
    ]);
    for (const changed of released) {
      // A task that has not ended still needs its picture, and removes it at its end.
      if (hasEnded(changed.status)) await pictures.remove(changed, [inputName(changed.id)]);
    }
  }

  /** Notifies the task's watchers of a change that is on disk. */
  changed(id: string, change: 'end' | 'other' = 'other'): void {
    const { watchers, store, log } = this.#parts;
    if (!watchers.isWatched(id, change)) return;
    try {
      const row = store.find(id);
      if (row !== undefined) watchers.notify(toTask(row));
    } catch (error) {
      log.error({ task_id: id, err: error }, 'watchers of a task could not be notified');
    }
  }

  /** Does what must follow a task's end, once the end is on disk. */
  async ended(changed: ChangedRow): Promise<void> {
    const { id, stage, audience, original_kept } = changed;
    const { admission, outbox, pictures } = this.#parts;
    if (stage === 'listed') admission.unlist(1);
    else admission.leave();
    this.changed(id, 'end');
    if (audience !== null) outbox.ended(audience, id);
    const published = failpoint('end-published');
    if (published !== undefined) await published;
    if (stage === 'ready' && original_kept === 0) await pictures.remove(changed, [inputName(id)]);
  }
}

/** The columns that say how long a task's picture is kept. */
function keepColumns(keep: Keep | null) {
  if (keep === null) return { original_kept: 0, original_expires_at: null, snippet: null, boxes: null } as const;
  if ('until' in keep) {
    return { original_kept: 1, original_expires_at: keep.until, snippet: null, boxes: null } as const;
  }
  const { snippet, boxes } = keep;
  return { original_kept: 1, original_expires_at: null, snippet, boxes: JSON.stringify(boxes) } as const;
}
