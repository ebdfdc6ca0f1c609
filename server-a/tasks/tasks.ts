import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { nanoid } from 'nanoid';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';
import { checkOutputLimits } from '../../shared/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { Operation } from '../../shared/operations.ts';
import { hasEnded, type ImageHeader, type Task } from '../../shared/task.ts';
import type { ServerASettings } from '../config.ts';
import type { Dispatch, Ledger } from '../dispatch/ledger.ts';
import { Admission, type Reservation } from './admission.ts';
import { makeDataFolder } from './data-folder.ts';
import { DataLock } from './data-lock.ts';
import { FolderSync } from './folder-sync.ts';
import { takeIn } from './intake.ts';
import { TaskLedger } from './ledger.ts';
import { recover } from './recovery.ts';
import { findResult, type Result } from './result.ts';
import { Retention } from './retention.ts';
import { inputName, Spool } from './spool.ts';
import type { SpoolFile } from './spool-file.ts';
import { Store } from './store.ts';
import { type TaskRow, toTask } from './task-record.ts';
import { Watchers } from './watchers.ts';

export type { Result } from './result.ts';

const MEBIBYTE = 1024 * 1024;
const HOUR_MILLISECONDS = 60 * 60 * 1000;
const heedless = () => undefined;

/** Server A's settings that concern tasks. */
export interface TasksOptions
  extends Pick<
    ServerASettings,
    'dataDir' | 'keepHours' | 'maxQueued' | 'maxSpoolMb' | 'maxUploadMb' | 'maxPixels' | 'maxSide' | 'maxDecodedMb'
  > {
  /** Called once if nothing can be written any more: the process should end. Without it this is only logged. */
  readonly onFatal?: (error: Error) => void;
}

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

/** What is open between {@link Tasks.open} and {@link Tasks.close}. */
interface Parts {
  readonly options: TasksOptions;
  readonly lock: DataLock;
  readonly store: Store;
  readonly spool: Spool;
  readonly admission: Admission;
  readonly watchers: Watchers;
  readonly retention: Retention;
  readonly ledger: TaskLedger;
}

/** The one task API, which every protocol calls. */
export class Tasks {
  readonly #parts: Parts;
  #dispatch: Dispatch | null = null;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Takes the data folder, opens store and spool, puts tasks that were being processed back to pending, removes what has
   * expired and what no record owns. Throws BAD_REQUEST when another process has the folder or it cannot be made, and an
   * Error when the store is damaged or will not promise durability.
   */
  static async open(options: TasksOptions, log: Logger): Promise<Tasks> {
    const folder = await makeDataFolder(options.dataDir);
    const lock = DataLock.take(folder);
    try {
      return new Tasks(await openParts(options, folder, lock, log));
    } catch (error) {
      lock.release();
      throw error;
    }
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
   * QUEUE_FULL, STORAGE_FULL, DRAINING, and what the source or the signal fails with. After any of them nothing is left on
   * disk. A refusal leaves the source paused, for its owner to drain or destroy; an abort destroys it.
   */
  async receive(source: Readable, { filename, bytes, signal }: ReceiveOptions): Promise<ReceivedPicture> {
    signal.throwIfAborted();
    const { spool, admission, options } = this.#parts;
    const reservation = admission.reserve(bytes);
    // Reading finds the error; until it begins, nobody else listens for one.
    source.on('error', heedless);
    let file: SpoolFile | null = null;
    try {
      file = await spool.create();
      const limits = { ...options, maxUploadBytes: options.maxUploadMb * MEBIBYTE };
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
    const { options, admission, ledger } = this.#parts;
    const { filename, header, bytes, sha256, file, reservation } = received;
    const id = nanoid();
    try {
      admission.checkOpen();
      checkOutputLimits(header, operations, options);
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

  /** The record now and at each change, ending with its end, the signal's abort or {@link close}. Throws TASK_NOT_FOUND. */
  watch(id: string, signal: AbortSignal): AsyncGenerator<Task> {
    return this.#parts.watchers.watch(id, () => this.get(id), signal);
  }

  /** The record when the task ends, the milliseconds have run out or the signal aborts, whichever is first. Throws TASK_NOT_FOUND. */
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
  result(id: string, name?: string): Promise<Result> {
    return findResult(this.#find(id), name, this.#parts.spool);
  }

  /** Ends a task that waits or runs as canceled; one that has ended is returned as it is. Throws TASK_NOT_FOUND. */
  async cancel(id: string): Promise<Task> {
    if (hasEnded(this.#find(id).status)) return this.get(id);
    if (await this.#parts.ledger.cancel(id)) this.#dispatch?.cancel(id);
    return this.get(id);
  }

  /** Removes the record and the files of an ended task. Throws TASK_NOT_FOUND, and NOT_READY for one that has not ended. */
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
    const { watchers, retention, store, spool, lock } = this.#parts;
    this.drain();
    watchers.close();
    await retention.stop();
    await store.close();
    await spool.close();
    lock.release();
  }

  #find(id: string): TaskRow {
    const row = this.#parts.store.find(id);
    if (row !== undefined) return row;
    throw new DarkroomError('TASK_NOT_FOUND', expectedMessage('the id of a known task', 'task_id', id));
  }
}

async function openParts(options: TasksOptions, folder: string, lock: DataLock, log: Logger): Promise<Parts> {
  const store = await Store.open(join(folder, 'store.db'), log, (error) => {
    log.fatal({ err: error }, 'the store cannot be written any more');
    options.onFatal?.(error);
  });
  let spool: Spool | null = null;
  try {
    spool = await Spool.open(join(folder, 'spool'));
    // The store and the spool are themselves names that a power cut must not take.
    await FolderSync.syncOnce(folder);
    await recover(store, spool, log);
    const retention = new Retention(store, spool, log);
    await retention.run(Date.now());
    retention.start();
    const limits = {
      maxQueued: options.maxQueued,
      maxSpoolBytes: options.maxSpoolMb * MEBIBYTE,
      maxUploadBytes: options.maxUploadMb * MEBIBYTE,
    };
    const admission = new Admission(limits, spool, store.count().pending);
    const watchers = new Watchers();
    const keepMilliseconds = Math.round(options.keepHours * HOUR_MILLISECONDS);
    const ledger = new TaskLedger({ store, spool, admission, watchers, keepMilliseconds, log });
    return { options, lock, store, spool, admission, watchers, retention, ledger };
  } catch (error) {
    await spool?.close();
    await store.close();
    throw error;
  }
}
