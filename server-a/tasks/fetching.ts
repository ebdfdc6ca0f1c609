import { debuglog } from 'node:util';
import type { Clock, Timer } from '../../shared/clock.ts';
import { DarkroomError, describeError, ERRORS } from '../../shared/errors.ts';
import { checkOutputLimits } from '../../shared/limits.ts';
import type { Logger } from '../../shared/log.ts';
import { abortOr } from '../abort.ts';
import type { UrlLimits } from '../fetch-url/fetch-picture.ts';
import type { Admission } from '../intake/admission.ts';
import { discardPicture, type ReceivedPicture, receivePicture } from '../intake/receive.ts';
import type { UploadLimits } from '../intake/write-upload.ts';
import { inputName, type Spool } from '../spool/spool.ts';
import type { Store } from '../store/store.ts';
import type { Lifecycle } from './lifecycle.ts';

/** Follows the fetches of listed URLs: `NODE_DEBUG=darkroom-fetch`. */
const trace = debuglog('darkroom-fetch');
/** Milliseconds until another try where there was no room on disk. */
const PAUSE_MS = 1000;

export interface FetchingOptions {
  readonly store: Store;
  readonly spool: Spool;
  readonly admission: Admission;
  readonly lifecycle: Lifecycle;
  /** URLs fetched at once. */
  readonly atOnce: number;
  readonly url: UrlLimits;
  readonly intake: UploadLimits;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The first stage of a task that has a URL: its picture is fetched, oldest task first, when there is a place for it in
 * the queue. Where there is no room it waits; any other failure is the task's end.
 */
export class Fetching {
  readonly #options: FetchingOptions;
  readonly #running = new Map<string, { readonly stop: AbortController; readonly done: Promise<void> }>();
  #enqueue: (id: string) => void = () => undefined;
  #pause: Timer | null = null;
  #isClosed = false;

  constructor(options: FetchingOptions) {
    this.#options = options;
    options.admission.onFreed(() => this.wake());
  }

  /** Names who is told of tasks that have their picture now. */
  onReady(enqueue: (id: string) => void): void {
    this.#enqueue = enqueue;
  }

  /** Starts as many fetches as there is work and room for. */
  wake(): void {
    while (!this.#isClosed && this.#pause === null && this.#running.size < this.#options.atOnce) {
      const next = this.#next();
      if (next === undefined || !this.#hasRoom(next)) return;
      this.#start(next);
    }
  }

  /** Stops the fetch of a task that has ended. */
  cancel(id: string): void {
    this.#running.get(id)?.stop.abort();
  }

  /** Starts no more and stops those under way; their tasks are fetched in another life. */
  stop(): void {
    this.#isClosed = true;
    if (this.#pause !== null) this.#options.clock.clearTimeout(this.#pause);
    for (const { stop } of this.#running.values()) stop.abort();
  }

  /** Stops, and waits until nothing is under way. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  /** The oldest listed task that is not being fetched: it is among the first of one more than those that are. */
  #next(): string | undefined {
    return this.#options.store.listed(this.#running.size + 1).find((id) => !this.#running.has(id));
  }

  /** A full queue says when that changes; a full disk does not. */
  #hasRoom(id: string): boolean {
    try {
      this.#options.admission.check(this.#options.url.maxBytes);
      return true;
    } catch (error) {
      if (trace.enabled) trace('%s no room, %s', id, describeError(error).code);
      if (error instanceof DarkroomError && error.code === 'STORAGE_FULL') this.#pauseForRoom();
      return false;
    }
  }

  #pauseForRoom(): void {
    if (this.#isClosed) return;
    this.#pause ??= this.#options.clock.setTimeout(() => {
      this.#pause = null;
      this.wake();
    }, PAUSE_MS);
  }

  #start(id: string): void {
    const stop = new AbortController();
    const done = this.#run(id, stop.signal).finally(() => {
      this.#running.delete(id);
      this.wake();
    });
    this.#running.set(id, { stop, done });
  }

  /** One try; does not reject. */
  async #run(id: string, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    try {
      await this.#fetch(id, signal).catch((error: unknown) => this.#failed(id, error, signal));
    } catch (error) {
      log.error({ task_id: id, err: error }, 'a fetch could not be settled; it is tried again');
      this.#pauseForRoom();
    }
  }

  /** Throws INTERNAL, which ends the task, when its row is damaged: nobody could fetch it. */
  async #fetch(id: string, signal: AbortSignal): Promise<void> {
    const { store, intake, lifecycle } = this.#options;
    const row = store.find(id);
    // Forgotten a moment ago.
    if (row === undefined) return;
    // Its URL is not shown: it may hold credentials.
    if (trace.enabled) trace('%s started', id);
    const received = await this.#receive(row.source_url ?? '', signal);
    if (trace.enabled) trace('%s received, %d bytes', id, received.bytes);
    try {
      checkOutputLimits(received.header, row.specs, intake);
      await received.file.moveTo(inputName(id));
      if (!(await lifecycle.makeReady(id, received))) return;
      if (trace.enabled) trace('%s ready', id);
      this.#enqueue(id);
    } finally {
      await discardPicture(received);
    }
  }

  /** The place in the queue comes first: what is fetched has somewhere to go. */
  async #receive(url: string, signal: AbortSignal): Promise<ReceivedPicture> {
    const { spool, admission, intake: limits, url: urlLimits } = this.#options;
    const reservation = admission.reserve(urlLimits.maxBytes);
    try {
      // Loaded with the first URL: its HTTP client would be a tenth of every start.
      const { fetchPicture } = await import('../fetch-url/fetch-picture.ts');
      const { body, filename } = await fetchPicture(url, urlLimits, signal);
      try {
        return await receivePicture(body, spool, reservation, { filename, limits, signal });
      } finally {
        body.destroy();
      }
    } catch (error) {
      reservation.release();
      throw error;
    }
  }

  async #failed(id: string, error: unknown, signal: AbortSignal): Promise<void> {
    const description = describeError(error);
    const hasNoRoom = error instanceof DarkroomError && ERRORS[error.code].retry === 'later';
    const outcome = hasNoRoom ? 'no room' : 'failed';
    if (trace.enabled) trace('%s %s, %s', id, signal.aborted ? 'stopped' : outcome, description.code);
    if (signal.aborted && abortOr(error, signal) === signal.reason) return;
    if (description.code === 'INTERNAL') this.#options.log.error({ task_id: id, err: error }, 'a fetch failed inside');
    if (signal.aborted) return;
    if (hasNoRoom) {
      this.#options.log.warn(
        { task_id: id, reason: description.message },
        'a fetched picture has no room; fetching pauses',
      );
      this.#pauseForRoom();
      return;
    }
    await this.#options.lifecycle.failWaiting(id, description);
  }
}
