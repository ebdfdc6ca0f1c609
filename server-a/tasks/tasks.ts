import type { Readable } from 'node:stream';
import { DarkroomError, expectedMessage, invalid } from '../../shared/errors.ts';
import { MEBIBYTE } from '../../shared/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { Snippet } from '../../shared/snippet.ts';
import { hasEnded, type Task } from '../../shared/task.ts';
import type { BackupResult } from '../backup/write-backup.ts';
import type { Dispatch, TaskRecords } from '../dispatch/contract.ts';
import { discardPicture, type ReceivedPicture, receivePicture } from '../intake/receive.ts';
import { type TaskRow, toTask } from '../store/row.ts';
import { SYSTEM, type System } from '../system.ts';
import { closeParts, type MakeDispatcher, openParts, type Parts, type TasksOptions } from './parts.ts';
import type { Quarantine } from './quarantine.ts';
import { findResult, notEnded, type Result } from './result.ts';
import { SNIPPET_OUTPUTS, type SnippetChange } from './snippets.ts';
import { Submission } from './submission.ts';

export type { ReceivedPicture } from '../intake/receive.ts';

const HOUR_MS = 60 * 60 * 1000;

/** The facts about an upload that a protocol knows before its first byte. */
export interface ReceiveOptions {
  /** The client's name for the picture. */
  readonly filename: string | null;
  /** The length that the client declares; null when it declares none. */
  readonly bytes: number | null;
  readonly signal: AbortSignal;
}

/** The task API, which every protocol calls. */
export class Tasks<Dispatcher extends Dispatch = Dispatch> {
  /** For Server A, which shows its status and closes it before {@link close}. */
  readonly dispatcher: Dispatcher;
  readonly #options: TasksOptions;
  readonly #parts: Parts;
  readonly #submission: Submission;
  readonly #log: Logger;
  readonly #system: System;

  private constructor(options: TasksOptions, parts: Parts<Dispatcher>, log: Logger, system: System) {
    this.dispatcher = parts.dispatcher;
    this.#options = options;
    this.#parts = parts;
    this.#submission = new Submission(options, parts, system);
    this.#log = log;
    this.#system = system;
  }

  /** Opens the data folder for this process alone and recovers the tasks in it. Throws like {@link openParts}. */
  static async open<Dispatcher extends Dispatch>(
    options: TasksOptions,
    log: Logger,
    makeDispatcher: MakeDispatcher<Dispatcher>,
    system: System = SYSTEM,
  ): Promise<Tasks<Dispatcher>> {
    return new Tasks(options, await openParts(options, log, makeDispatcher, system), log, system);
  }

  /** The records as the dispatcher uses them. */
  get records(): TaskRecords {
    return this.#parts.records;
  }

  /** The pictures that are refused because they have crashed Server B. */
  get quarantine(): Pick<Quarantine, 'list' | 'release'> {
    return this.#parts.quarantine;
  }

  /** `draining` when new tasks are refused; `failed` when the store cannot be written any more. */
  get state(): 'open' | 'draining' | 'failed' {
    if (!this.#parts.store.isWritable) return 'failed';
    return this.#parts.admission.isDraining ? 'draining' : 'open';
  }

  /** Throws QUEUE_FULL, STORAGE_FULL or DRAINING when another picture of `bytes` bytes (null: unknown) has no room. */
  checkRoom(bytes: number | null): void {
    this.#parts.admission.check(bytes);
  }

  /**
   * Receives an upload, counting, hashing and sniffing on the way, then reads its header and checks
   * the limits. Throws BAD_REQUEST (no bytes), PAYLOAD_TOO_LARGE, UNSUPPORTED_IMAGE, IMAGE_CORRUPT, IMAGE_TOO_LARGE,
   * QUEUE_FULL, STORAGE_FULL, DRAINING, and the errors of the source and the signal; no file is left then. A refusal
   * leaves the source paused, for its owner to drain or destroy; an abort destroys it.
   */
  async receive(source: Readable, { filename, bytes, signal }: ReceiveOptions): Promise<ReceivedPicture> {
    signal.throwIfAborted();
    const reservation = this.#parts.admission.reserve(bytes);
    const limits = { ...this.#options, maxUploadBytes: this.#options.maxUploadMb * MEBIBYTE };
    return receivePicture(source, this.#parts.pictures, reservation, { filename, limits, signal });
  }

  /** Removes a received picture that will not become a task. Idempotent; does nothing when it is a task. */
  async discard(received: ReceivedPicture): Promise<void> {
    await discardPicture(received);
  }

  /**
   * Makes a task of a received picture; the task is durable when this resolves. With `keep` the picture itself is kept
   * for keepImageHours, as the result `original`. Throws IMAGE_TOO_LARGE for an output above the limits or a job
   * that needs more memory than Server B has, QUARANTINED, STORAGE_FULL and DRAINING, and discards the picture then.
   */
  async submit(
    received: ReceivedPicture,
    specs: readonly OutputSpec[],
    options: { readonly keep?: boolean } = {},
  ): Promise<Task> {
    const until = this.#system.clock.now() + Math.round(this.#options.keepImageHours * HOUR_MS);
    return this.get(await this.#submission.submit(received, specs, options.keep === true ? { until } : null));
  }

  /**
   * Makes a task of the picture that another task keeps. Throws TASK_NOT_FOUND, NOT_FOUND (not kept), EXPIRED,
   * SPOOL_CORRUPT, QUEUE_FULL, and like {@link submit}.
   */
  async submitKept(id: string, specs: readonly OutputSpec[]): Promise<Task> {
    return this.get(await this.#submission.submitKept(this.#find(id), specs));
  }

  /**
   * Makes a task of each URL, in order, all or none; they are durable when this resolves. Each waits for a place in the
   * queue, is fetched, then runs; an entry that is not an http or https URL fails at its fetch. `audience` gets their
   * {@link endings}. Throws QUEUE_FULL when too many would wait, STORAGE_FULL and DRAINING.
   */
  async submitUrls(
    urls: readonly string[],
    specs: readonly OutputSpec[],
    audience: string | null = null,
  ): Promise<Task[]> {
    const listed = await this.#parts.lifecycle.insertListed(urls, specs, audience);
    this.#parts.fetching.wake();
    return listed;
  }

  /**
   * Ended tasks of the audience that are not acknowledged, oldest end first, then each task as it ends, until the
   * signal aborts or {@link close}. At-least-once across restarts, once per process.
   */
  endings(audience: string, signal: AbortSignal): AsyncGenerator<Task> {
    return this.#parts.outbox.endings(audience, signal);
  }

  /** Acknowledges the end of a task for its audience; durable when this resolves. The caller need not wait for that. */
  acknowledge(id: string): Promise<void> {
    return this.#parts.outbox.acknowledge(id);
  }

  /**
   * Stores a new picture for a snippet, with its boxes (none by default); the picture is classified, and kept until a
   * newer one replaces it. Or stores new boxes for the newest picture. Resolves with this change, even if another was
   * stored meanwhile. Boxes without a picture are kept for a week. Throws like {@link submit}, and BAD_REQUEST if there
   * is neither a picture nor boxes.
   */
  async putSnippet(name: number, { received, boxes }: SnippetChange): Promise<Snippet> {
    if (received !== undefined) {
      const keep = { snippet: name, boxes: boxes ?? [] };
      const task = this.get(await this.#submission.submit(received, SNIPPET_OUTPUTS, keep));
      await this.#releaseOlder(name, task);
      return { name, task, boxes: [...keep.boxes], updated_at: task.created_at };
    }
    if (boxes !== undefined) return this.#parts.snippets.putBoxes(name, boxes);
    throw invalid('a picture or boxes', `snippet ${name}`, undefined);
  }

  /** The snippet's boxes and the task of its newest picture. Throws NOT_FOUND when it has neither. */
  getSnippet(name: number): Snippet {
    return this.#parts.snippets.get(name);
  }

  /** The record. Throws TASK_NOT_FOUND. */
  get(id: string): Task {
    return toTask(this.#find(id));
  }

  /**
   * The record now and after each change, until the task's end, the signal's abort or {@link close}. Throws
   * TASK_NOT_FOUND.
   */
  watch(id: string, signal: AbortSignal): AsyncGenerator<Task> {
    return this.#parts.watchers.watch(id, () => this.get(id), signal);
  }

  /**
   * The record when the task ends, the time is up or the signal aborts, whichever comes first. Throws TASK_NOT_FOUND.
   */
  async wait(id: string, milliseconds: number, signal: AbortSignal): Promise<Task> {
    const task = this.get(id);
    if (hasEnded(task.status)) return task;
    const { ended, stop } = this.#parts.watchers.awaitEnd(id);
    const timer = this.#system.clock.setTimeout(stop, milliseconds);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      return (await ended) ?? this.get(id);
    } finally {
      signal.removeEventListener('abort', stop);
      this.#system.clock.clearTimeout(timer);
    }
  }

  /**
   * A finished output; without a name the first picture. Throws TASK_NOT_FOUND, NOT_READY, EXPIRED, NOT_FOUND (no such
   * output), SPOOL_CORRUPT (its file is missing), or the task's or the output's own error.
   */
  async result(id: string, name?: string): Promise<Result> {
    const { pictures } = this.#parts;
    try {
      return await findResult(this.#find(id), name, pictures, this.#system.clock.now());
    } catch (error) {
      if (!isSpoolCorrupt(error)) throw error;
      // The task may have been forgotten or have expired after its record was read, so the record is read again.
      return findResult(this.#find(id), name, pictures, this.#system.clock.now());
    }
  }

  /** Cancels a pending or processing task; returns an ended task unchanged. Throws TASK_NOT_FOUND. */
  async cancel(id: string): Promise<Task> {
    if (hasEnded(this.#find(id).status)) return this.get(id);
    if (await this.#parts.lifecycle.cancel(id)) {
      this.#parts.fetching.cancel(id);
      this.dispatcher.cancel(id);
    }
    return this.get(id);
  }

  /**
   * Removes an ended task's record and files. Throws TASK_NOT_FOUND, and NOT_READY when the task has not ended or its
   * audience has not acknowledged the end.
   */
  async forget(id: string): Promise<void> {
    const row = this.#find(id);
    if (!hasEnded(row.status)) throw notEnded(row.status);
    const { lifecycle, recordGate } = this.#parts;
    if (!(await recordGate.use(() => lifecycle.forget(row))) && this.#parts.store.stateOf(id) !== undefined) {
      throw new DarkroomError('NOT_READY', 'The end of the task has not been published yet. Try again later.');
    }
  }

  /** Forgets an ended task whose id no client has. Does not reject: a failure is logged, and the task expires later. */
  async tryForget(id: string): Promise<void> {
    await this.forget(id).catch((error: unknown) => {
      this.#log.error({ task_id: id, err: error }, 'a task whose id no client has was not forgotten');
    });
  }

  /** The number of pending and of processing tasks, and the bytes of all pictures. */
  counts(): { pending: number; processing: number; spool_bytes: number } {
    const { pending, processing } = this.#parts.store.count();
    return { pending, processing, spool_bytes: this.#parts.pictures.bytes };
  }

  /**
   * Yields an archive of all tasks and their files at one moment. Throws the errors of SQLite and of the system, and the
   * signal's reason.
   */
  async *backup(signal: AbortSignal): AsyncGenerator<Uint8Array, BackupResult> {
    const { writeBackup } = await import('../backup/write-backup.ts');
    const { folder, spool } = this.#parts;
    return yield* writeBackup({ folder, spool, system: this.#system }, signal);
  }

  /** Refuses new tasks with DRAINING from now on, and stops all fetches. */
  drain(): void {
    this.#parts.admission.drain();
    this.#parts.fetching.stop();
  }

  /** Ends all watches, writes what is in progress, and releases the data folder. Idempotent. */
  async close(): Promise<void> {
    this.drain();
    await closeParts(this.#parts, this.#log);
  }

  /** Does not reject: the new picture is stored, and the next start also removes older pictures. */
  async #releaseOlder(snippet: number, { task_id }: Task): Promise<void> {
    await this.#parts.lifecycle.releaseOlder(snippet).catch((error: unknown) => {
      this.#log.error({ task_id, err: error }, 'older pictures of a snippet were not removed');
    });
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
