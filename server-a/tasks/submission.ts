import type { OutputSpec } from '../../shared/operations/index.ts';
import { discardPicture, type ReceivedPicture } from '../intake/receive.ts';
import { inputName } from '../spool/spool.ts';
import type { TaskRow } from '../store/row.ts';
import type { System } from '../system.ts';
import type { Keep } from './lifecycle.ts';
import type { Parts, TasksOptions } from './parts.ts';
import { checkOriginal } from './result.ts';
import { checkTask } from './task-limits.ts';

/** Makes tasks of pictures: an upload, or the picture that another task keeps. */
export class Submission {
  readonly #options: TasksOptions;
  readonly #parts: Parts;
  readonly #system: System;

  constructor(options: TasksOptions, parts: Parts, system: System) {
    this.#options = options;
    this.#parts = parts;
    this.#system = system;
  }

  /**
   * Makes a task of a received picture. Resolves with its id when the task is durable. Throws IMAGE_TOO_LARGE like
   * {@link checkTask}, QUARANTINED, STORAGE_FULL and DRAINING, and discards the picture then.
   */
  async submit(received: ReceivedPicture, specs: readonly OutputSpec[], keep: Keep | null): Promise<string> {
    const { admission, recordGate, lifecycle, quarantine, dispatcher } = this.#parts;
    const { filename, header, bytes, sha256, picture, reservation } = received;
    const id = this.#system.newId();
    await recordGate.use(async () => {
      try {
        admission.checkOpen();
        quarantine.check(sha256);
        if (keep !== null && 'snippet' in keep) admission.checkRecords(Buffer.byteLength(JSON.stringify(keep.boxes)));
        checkTask(received, specs, this.#options, dispatcher);
        lifecycle.checkWritable();
        const pictures = await picture.place(inputName(id));
        await lifecycle.insert({ id, filename, header, bytes, sha256, specs, keep, pictures });
        picture.keep();
        reservation.handOver();
      } catch (error) {
        await discardPicture(received);
        throw error;
      }
    });
    dispatcher.enqueue(id, false);
    return id;
  }

  /**
   * Makes a task of the picture that the task of `row` keeps. Resolves with its id when the task is durable. Throws
   * NOT_FOUND (not kept), EXPIRED, SPOOL_CORRUPT, IMAGE_TOO_LARGE, QUARANTINED, QUEUE_FULL, STORAGE_FULL and DRAINING.
   */
  async submitKept(row: TaskRow, specs: readonly OutputSpec[]): Promise<string> {
    const { admission, pictures, recordGate, lifecycle, quarantine, dispatcher } = this.#parts;
    const picture = checkOriginal(row);
    quarantine.check(picture.sha256);
    checkTask(picture, specs, this.#options, dispatcher);
    const reservation = admission.reserve(picture.bytes);
    const task = { id: this.#system.newId(), filename: row.filename, ...picture, specs, keep: null };
    await recordGate.use(async () => {
      try {
        lifecycle.checkWritable();
        const rows = await pictures.copy(inputName(row.id), inputName(task.id), picture.bytes);
        reservation.consume(picture.bytes);
        await lifecycle.insert({ ...task, pictures: rows });
        reservation.handOver();
      } catch (error) {
        reservation.release();
        await pictures.remove({}, [inputName(task.id)]);
        throw error;
      }
    });
    dispatcher.enqueue(task.id, false);
    return task.id;
  }
}
