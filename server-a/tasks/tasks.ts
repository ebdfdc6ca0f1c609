import type { Readable } from 'node:stream';
import { DarkroomError, expectedMessage, invalid } from '../../shared/errors.ts';
import { checkOutputLimits, MEBIBYTE } from '../../shared/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { Snippet } from '../../shared/snippet.ts';
import { hasEnded, type Task } from '../../shared/task.ts';
import type { Dispatch, TaskRecords } from '../dispatch/contract.ts';
import { discardPicture, type ReceivedPicture, receivePicture } from '../intake/receive.ts';
import { inputName } from '../spool/spool.ts';
import { type TaskRow, toTask } from '../store/row.ts';
import { SYSTEM, type System } from '../system.ts';
import type { Keep } from './lifecycle.ts';
import { closeParts, openParts, type Parts, type TasksOptions } from './parts.ts';
import { checkOriginal, findResult, type Result } from './result.ts';
import { SNIPPET_OUTPUTS, type SnippetChange } from './snippets.ts';

export type { ReceivedPicture } from '../intake/receive.ts';

const HOUR_MS = 60 * 60 * 1000;

/** How an upload comes in. */
export interface ReceiveOptions {
  /** The client's name for it. */
  readonly filename: string | null;
  /** What the client declares; null when it does not. */
  readonly bytes: number | null;
  readonly signal: AbortSignal;
}

/** The one task API, which every protocol calls. */
export class Tasks {
  readonly #options: TasksOptions;
  readonly #parts: Parts;
  readonly #log: Logger;
  readonly #system: System;
  #dispatch: Dispatch | null = null;

  private constructor(options: TasksOptions, parts: Parts, log: Logger, system: System) {
    this.#options = options;
    this.#parts = parts;
    this.#log = log;
    this.#system = system;
  }

  /** Opens the data folder for this process alone and recovers what another left. Throws as {@link openParts}. */
  static async open(options: TasksOptions, log: Logger, system: System = SYSTEM): Promise<Tasks> {
    return new Tasks(options, await openParts(options, log, system), log, system);
  }

  /** For the dispatcher. */
  get records(): TaskRecords {
    return this.#parts.lifecycle;
  }

  /** `open`; `draining` when nothing comes in any more; `failed` when nothing can be written any more. */
  get state(): 'open' | 'draining' | 'failed' {
    if (!this.#parts.store.isWritable) return 'failed';
    return this.#parts.admission.isDraining ? 'draining' : 'open';
  }

  /** Names who is told of tasks that come and of tasks that are canceled, and begins to fetch what was listed. Once. */
  attach(dispatch: Dispatch): void {
    if (this.#dispatch !== null) throw new Error('Expected one dispatcher, received a second');
    this.#dispatch = dispatch;
    this.#parts.fetching.onReady((id) => dispatch.enqueue(id, false));
    this.#parts.fetching.wake();
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
    const reservation = this.#parts.admission.reserve(bytes);
    const limits = { ...this.#options, maxUploadBytes: this.#options.maxUploadMb * MEBIBYTE };
    return receivePicture(source, this.#parts.spool, reservation, { filename, limits, signal });
  }

  /** Removes a received picture that will not become a task. Idempotent, and harmless for one that has. */
  async discard(received: ReceivedPicture): Promise<void> {
    await discardPicture(received);
  }

  /**
   * Makes a task of a received picture; the task is durable when this resolves. With `keep` the picture itself is kept
   * for keepImageHours, as the result `original`. Throws IMAGE_TOO_LARGE for an output beyond the limits, STORAGE_FULL
   * and DRAINING; the picture is discarded then.
   */
  submit(
    received: ReceivedPicture,
    specs: readonly OutputSpec[],
    options: { readonly keep?: boolean } = {},
  ): Promise<Task> {
    const until = this.#system.clock.now() + Math.round(this.#options.keepImageHours * HOUR_MS);
    return this.#submit(received, specs, options.keep === true ? { until } : null);
  }

  /**
   * Makes a task of the picture that another task keeps. Throws TASK_NOT_FOUND, NOT_FOUND (not kept), EXPIRED,
   * SPOOL_CORRUPT, and as {@link receive} and {@link submit} do.
   */
  async submitKept(id: string, specs: readonly OutputSpec[]): Promise<Task> {
    const { admission, spool, lifecycle } = this.#parts;
    const row = this.#find(id);
    const picture = checkOriginal(row);
    checkOutputLimits(picture.header, specs, this.#options);
    const reservation = admission.reserve(picture.bytes);
    const task = { id: this.#system.newId(), filename: row.filename, ...picture, specs, keep: null };
    try {
      await spool.link(inputName(id), inputName(task.id));
      reservation.consume(picture.bytes);
      await lifecycle.insert(task);
      reservation.handOver();
    } catch (error) {
      reservation.release();
      await spool.remove(inputName(task.id));
      throw error;
    }
    this.#dispatch?.enqueue(task.id, false);
    return this.get(task.id);
  }

  /**
   * Makes a task of each URL, all of them or none, durable when this resolves; in the order given, one each time a URL
   * is listed. They wait for room in the queue, are fetched, then run; what is no http or https URL fails then.
   * `audience` is told of their {@link endings}. Throws QUEUE_FULL when too many would wait, STORAGE_FULL and DRAINING.
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
   * Tasks of the audience that have ended and were not acknowledged: those of before first, oldest end first, then each
   * as it ends, until the signal aborts or {@link close}. Each at least once over all lives of the service, once in this.
   */
  endings(audience: string, signal: AbortSignal): AsyncGenerator<Task> {
    return this.#parts.outbox.endings(audience, signal);
  }

  /** The task's audience has been told of its end; durable when this resolves, which need not be waited for. */
  acknowledge(id: string): Promise<void> {
    return this.#parts.outbox.acknowledge(id);
  }

  /**
   * Gives a snippet a new picture with its boxes, none unless they are given, which is classified and kept until a
   * newer one comes; boxes alone are the newest picture's. Resolves with what was put, whatever came meanwhile. Throws
   * as {@link submit} does, and BAD_REQUEST when it is given neither. Boxes without a picture are kept for a week.
   */
  async putSnippet(name: number, { received, boxes }: SnippetChange): Promise<Snippet> {
    const { lifecycle, snippets } = this.#parts;
    if (received !== undefined) {
      const keep = { snippet: name, boxes: boxes ?? [] };
      const task = await this.#submit(received, SNIPPET_OUTPUTS, keep);
      // What was put is stored; a start lets go of what is left over, too.
      await lifecycle.releaseOlder(name).catch((error: unknown) => {
        this.#log.error({ task_id: task.task_id, err: error }, 'older pictures of a snippet could not be let go of');
      });
      return { name, task, boxes: [...keep.boxes], updated_at: task.created_at };
    }
    if (boxes !== undefined) return snippets.putBoxes(name, boxes);
    throw invalid('a picture or boxes', `snippet ${name}`, undefined);
  }

  /** The snippet's newest picture's task and its boxes. Throws NOT_FOUND for one that has neither. */
  getSnippet(name: number): Snippet {
    return this.#parts.snippets.get(name);
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
    const timer = this.#system.clock.setTimeout(stop, milliseconds);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      for await (const task of this.watch(id, timeout.signal)) latest = task;
      return latest;
    } finally {
      this.#system.clock.clearTimeout(timer);
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
      return await findResult(this.#find(id), name, spool, this.#system.clock.now());
    } catch (error) {
      if (!isSpoolCorrupt(error)) throw error;
      // It may have been forgotten, or have expired, since its record was read: the second look tells.
      return findResult(this.#find(id), name, spool, this.#system.clock.now());
    }
  }

  /** Ends a task that waits or runs as canceled; one that has ended is returned as it is. Throws TASK_NOT_FOUND. */
  async cancel(id: string): Promise<Task> {
    if (hasEnded(this.#find(id).status)) return this.get(id);
    if (await this.#parts.lifecycle.cancel(id)) {
      this.#parts.fetching.cancel(id);
      this.#dispatch?.cancel(id);
    }
    return this.get(id);
  }

  /**
   * Removes an ended task's record and files. Throws TASK_NOT_FOUND, and NOT_READY for one that has not ended or whose
   * audience has not been told of that.
   */
  async forget(id: string): Promise<void> {
    const row = this.#find(id);
    if (!hasEnded(row.status)) {
      throw new DarkroomError('NOT_READY', `Expected a task that has ended, received one that is ${row.status}`);
    }
    if (!(await this.#parts.lifecycle.forget(row)) && this.#parts.store.stateOf(id) !== undefined) {
      throw new DarkroomError('NOT_READY', 'Expected a task whose end has been told, received one that is waited for');
    }
  }

  /** Forgets an ended task whose id was told nobody. What keeps it from that is logged; the task then expires. */
  async letGo(id: string): Promise<void> {
    await this.forget(id).catch((error: unknown) => {
      this.#log.error({ task_id: id, err: error }, 'a task that nobody knows of could not be forgotten');
    });
  }

  /** Tasks that wait and run, and bytes in the spool. */
  counts(): { pending: number; processing: number; spool_bytes: number } {
    const { pending, processing } = this.#parts.store.count();
    return { pending, processing, spool_bytes: this.#parts.spool.bytes };
  }

  /** From now on whatever makes a task throws DRAINING, and nothing is fetched. */
  drain(): void {
    this.#parts.admission.drain();
    this.#parts.fetching.stop();
  }

  /** Ends all watches, writes what is under way, and gives the data folder free. Idempotent. */
  async close(): Promise<void> {
    this.drain();
    await closeParts(this.#parts, this.#log);
  }

  async #submit(received: ReceivedPicture, specs: readonly OutputSpec[], keep: Keep | null): Promise<Task> {
    const { admission, lifecycle } = this.#parts;
    const { filename, header, bytes, sha256, file, reservation } = received;
    const id = this.#system.newId();
    try {
      admission.checkOpen();
      if (keep !== null && 'snippet' in keep) admission.checkRecords(Buffer.byteLength(JSON.stringify(keep.boxes)));
      checkOutputLimits(header, specs, this.#options);
      await file.moveTo(inputName(id));
      await lifecycle.insert({ id, filename, header, bytes, sha256, specs, keep });
      file.keep();
      reservation.handOver();
    } catch (error) {
      await this.discard(received);
      throw error;
    }
    this.#dispatch?.enqueue(id, false);
    return this.get(id);
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
