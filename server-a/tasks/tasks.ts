import type { Readable } from 'node:stream';
import { nanoid } from 'nanoid';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';
import { checkOutputLimits } from '../../shared/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { Operation } from '../../shared/operations.ts';
import { hasEnded, type ImageHeader, type Task } from '../../shared/task.ts';
import type { Dispatch, Ledger } from '../dispatch/ledger.ts';
import type { Reservation } from './admission.ts';
import { takeIn } from './intake.ts';
import { closeParts, openParts, type Parts, type TasksOptions } from './parts.ts';
import { findResult, type Result } from './result.ts';
import { inputName } from './spool.ts';
import type { SpoolFile } from './spool-file.ts';
import { type TaskRow, toTask } from './task-record.ts';

export type { TasksOptions } from './parts.ts';
export type { Result } from './result.ts';

const MEBIBYTE = 1024 * 1024;
const heedless = () => undefined;

/** How an upload comes in. */
export interface ReceiveOptions {
  /** The client's name for it. */
  readonly filename: string | null;
  /** What the client declares; null when it does not. */
  readonly bytes: number | null;
  readonly signal: AbortSignal;
}

/** A picture that has come in whole and passed the checks, not yet a task. It is submitted or discarded. */
export interface ReceivedPicture {
  readonly filename: string | null;
  readonly header: ImageHeader;
  readonly bytes: number;
  /** Of the bytes, in hexadecimal. */
  readonly sha256: string;
  /** For {@link Tasks} only, as is `reservation`. */
  readonly file: SpoolFile;
  readonly reservation: Reservation;
}

/** The one task API, which every protocol calls. */
export class Tasks {
  readonly #options: TasksOptions;
  readonly #parts: Parts;
  #dispatch: Dispatch | null = null;

  private constructor(options: TasksOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Opens the data folder for this process alone and recovers what another left. Throws as {@link openParts}. */
  static async open(options: TasksOptions, log: Logger): Promise<Tasks> {
    return new Tasks(options, await openParts(options, log));
  }

  /** For the dispatcher. */
  get ledger(): Ledger {
    return this.#parts.ledger;
  }

  /** `open`; `draining` when nothing comes in any more; `failed` when nothing can be written any more. */
  get state(): 'open' | 'draining' | 'failed' {
    if (!this.#parts.store.isWritable) return 'failed';
    return this.#parts.admission.isDraining ? 'draining' : 'open';
  }

  /** Names who is told of tasks that come and of tasks that are canceled. Once. */
  attach(dispatch: Dispatch): void {
    if (this.#dispatch !== null) throw new Error('Expected one dispatcher, received a second');
    this.#dispatch = dispatch;
  }

  /** Throws QUEUE_FULL, STORAGE_FULL or DRAINING when one more picture of `bytes` (null: not known) has no room. */
  checkRoom(bytes: number | null): void {
    this.#parts.admission.check(bytes);
  }

  /**
   * Streams an upload to a temporary file, counting, hashing and sniffing on the way, then reads its header and checks
   * the limits. Throws BAD_REQUEST (no bytes), PAYLOAD_TOO_LARGE, UNSUPPORTED_IMAGE, IMAGE_CORRUPT, IMAGE_TOO_LARGE,
   * QUEUE_FULL, STORAGE_FULL, DRAINING, and what the source or the signal fails with. After any of them nothing is left
   * on disk. A refusal leaves the source paused, for its owner to drain or destroy; an abort destroys it.
   */
  async receive(source: Readable, { filename, bytes, signal }: ReceiveOptions): Promise<ReceivedPicture> {
    signal.throwIfAborted();
    const { spool, admission } = this.#parts;
    const reservation = admission.reserve(bytes);
    // Reading finds the error; until it begins, nobody else listens for one.
    source.on('error', heedless);
    let file: SpoolFile | null = null;
    try {
      file = await spool.create();
      const limits = { ...this.#options, maxUploadBytes: this.#options.maxUploadMb * MEBIBYTE };
      const header = await takeIn(source, file, reservation, limits, signal);
      reservation.settle();
      return { filename, header, bytes: file.bytes, sha256: file.sha256, file, reservation };
    } catch (error) {
      reservation.release();
      await file?.discard();
      throw error;
    } finally {
      source.off('error', heedless);
    }
  }

  /** Removes a received picture that will not become a task. Idempotent, and harmless for one that has. */
  async discard({ file, reservation }: ReceivedPicture): Promise<void> {
    reservation.release();
    await file.discard();
  }

  /**
   * Makes a task of a received picture; the task is durable when this resolves. Throws IMAGE_TOO_LARGE for an output
   * beyond the limits, STORAGE_FULL and DRAINING; the picture is discarded then.
   */
  async submit(received: ReceivedPicture, operations: readonly Operation[]): Promise<Task> {
    const { admission, ledger } = this.#parts;
    const { filename, header, bytes, sha256, file, reservation } = received;
    const id = nanoid();
    try {
      admission.checkOpen();
      checkOutputLimits(header, operations, this.#options);
      await file.moveTo(inputName(id));
      await ledger.insert({ id, filename, header, bytes, sha256, operations });
      file.keep();
      reservation.handOver();
    } catch (error) {
      await this.discard(received);
      throw error;
    }
    this.#dispatch?.enqueue(id, false);
    return this.get(id);
  }

  /** The record. Throws TASK_NOT_FOUND. */
  get(id: string): Task {
    return toTask(this.#find(id));
  }

  /** The record now and at each change, until its end, the signal's abort or {@link close}. Throws TASK_NOT_FOUND. */
  watch(id: string, signal: AbortSignal): AsyncGenerator<Task> {
    return this.#parts.watchers.watch(id, () => this.get(id), signal);
  }

  /** The record when the task ends, the time is up or the signal aborts, whichever is first. Throws TASK_NOT_FOUND. */
  async wait(id: string, milliseconds: number, signal: AbortSignal): Promise<Task> {
    let latest = this.get(id);
    const timeout = new AbortController();
    const stop = () => timeout.abort();
    const timer = setTimeout(stop, milliseconds);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      for await (const task of this.watch(id, timeout.signal)) latest = task;
      return latest;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  /**
   * A finished output; without a name the first picture. Throws TASK_NOT_FOUND, NOT_READY, EXPIRED, NOT_FOUND (no such
   * output), SPOOL_CORRUPT (its file is missing), or the task's or the output's own error.
   */
  async result(id: string, name?: string): Promise<Result> {
    const { spool } = this.#parts;
    try {
      return await findResult(this.#find(id), name, spool);
    } catch (error) {
      if (!isSpoolCorrupt(error)) throw error;
      // It may have been forgotten, or have expired, since its record was read: the second look tells.
      return findResult(this.#find(id), name, spool);
    }
  }

  /** Ends a task that waits or runs as canceled; one that has ended is returned as it is. Throws TASK_NOT_FOUND. */
  async cancel(id: string): Promise<Task> {
    if (hasEnded(this.#find(id).status)) return this.get(id);
    if (await this.#parts.ledger.cancel(id)) this.#dispatch?.cancel(id);
    return this.get(id);
  }

  /** Removes an ended task's record and files. Throws TASK_NOT_FOUND, and NOT_READY for one that has not ended. */
  async forget(id: string): Promise<void> {
    const row = this.#find(id);
    if (!hasEnded(row.status)) {
      throw new DarkroomError('NOT_READY', `Expected a task that has ended, received one that is ${row.status}`);
    }
    await this.#parts.ledger.forget(row);
  }

  /** Tasks that wait and run, and bytes in the spool. */
  counts(): { pending: number; processing: number; spool_bytes: number } {
    return { ...this.#parts.store.count(), spool_bytes: this.#parts.spool.bytes };
  }

  /** From now on {@link receive} and {@link submit} throw DRAINING. */
  drain(): void {
    this.#parts.admission.drain();
  }

  /** Ends all watches, writes what is under way, and gives the data folder free. Idempotent. */
  async close(): Promise<void> {
    this.drain();
    await closeParts(this.#parts);
  }

  #find(id: string): TaskRow {
    const row = this.#parts.store.find(id);
    if (row !== undefined) return row;
    throw new DarkroomError('TASK_NOT_FOUND', expectedMessage('the id of a known task', 'task_id', id));
  }
}

/** True for the error of a file that is missing or has another size. */
function isSpoolCorrupt(error: unknown): boolean {
  return error instanceof DarkroomError && error.code === 'SPOOL_CORRUPT';
}
