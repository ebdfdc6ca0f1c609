import { debuglog } from 'node:util';
import type { Clock, Timer } from '../../shared/clock.ts';
import { DarkroomError, describeError, ERRORS } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { abortOr } from '../abort.ts';
import type { Dispatch } from '../dispatch/contract.ts';
import type { UrlLimits } from '../fetch-url/fetch-picture.ts';
import type { Admission } from '../intake/admission.ts';
import { discardPicture, type ReceivedPicture, receivePicture, type UploadLimits } from '../intake/receive.ts';
import type { Pictures } from '../pictures/pictures.ts';
import type { Store } from '../store/store.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Quarantine } from './quarantine.ts';
import { checkTask, type TaskLimits } from './task-limits.ts';

/** Traces the fetches of listed URLs: `NODE_DEBUG=darkroom-fetch`. */
const trace = debuglog('darkroom-fetch');
/** Milliseconds before the next try when the disk is full. */
const PAUSE_MS = 1000;

/** The limits of fetches. */
export interface FetchLimits {
  /** URLs fetched at once. */
  readonly fetchAtOnce: number;
  readonly url: UrlLimits;
  readonly upload: UploadLimits & TaskLimits;
}

export interface FetchingOptions extends FetchLimits {
  readonly store: Store;
  readonly pictures: Pictures;
  readonly admission: Admission;
  readonly lifecycle: Lifecycle;
  readonly quarantine: Quarantine;
  readonly dispatcher: Pick<Dispatch, 'enqueue' | 'memoryBytes'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Fetches the pictures of listed URLs, oldest task first, when the queue has a place for the task. Without room a fetch
 * waits; any other failure ends the task.
 */
export class Fetching {
  readonly #options: FetchingOptions;
  readonly #running = new Map<string, { readonly stop: AbortController; readonly done: Promise<void> }>();
  #pause: Timer | null = null;
  #isClosed = false;

  constructor(options: FetchingOptions) {
    this.#options = options;
  }

  /** Starts fetches until no listed task or no room is left. */
  wake(): void {
    // The store is not asked after every task that leaves the queue.
    if (this.#options.admission.listed === 0) return;
    while (!this.#isClosed && this.#pause === null && this.#running.size < this.#options.fetchAtOnce) {
      const next = this.#next();
      if (next === undefined || !this.#hasRoom(next)) return;
      this.#start(next);
    }
  }

  /** Stops the fetch of a task that has ended. */
  cancel(id: string): void {
    this.#running.get(id)?.stop.abort();
  }

  /** Aborts all fetches and starts no more. The next start of the service fetches these tasks again. */
  stop(): void {
    this.#isClosed = true;
    if (this.#pause !== null) this.#options.clock.clearTimeout(this.#pause);
    for (const { stop } of this.#running.values()) stop.abort();
  }

  /** Stops, and waits for the fetches to end. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  /** The oldest listed task that is not being fetched. With n running, it is among the n + 1 oldest. */
  #next(): string | undefined {
    return this.#options.store.listed(this.#running.size + 1).find((id) => !this.#running.has(id));
  }

  /** Admission calls {@link wake} when the queue has room again; for a full disk a timer does. */
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

  /** Fetches once; does not reject. */
  async #run(id: string, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    try {
      await this.#fetch(id, signal).catch((error: unknown) => this.#failed(id, error, signal));
    } catch (error) {
      log.error({ task_id: id, err: error }, 'the end of a fetch could not be written; it is tried again');
      this.#pauseForRoom();
    }
  }

  /** Throws INTERNAL, which ends the task, when the row is damaged. */
  async #fetch(id: string, signal: AbortSignal): Promise<void> {
    const { store, upload, lifecycle, quarantine, dispatcher } = this.#options;
    const row = store.find(id);
    // The task was forgotten meanwhile.
    if (row === undefined) return;
    // The URL is not traced, because it may contain credentials.
    if (trace.enabled) trace('%s started', id);
    const received = await this.#receive(row.source_url ?? '', signal);
    if (trace.enabled) trace('%s received, %d bytes', id, received.bytes);
    try {
      quarantine.check(received.sha256);
      checkTask(received, row.specs, upload, dispatcher);
      if (!(await lifecycle.makeReady(id, received))) return;
      if (trace.enabled) trace('%s ready', id);
      dispatcher.enqueue(id, false);
    } finally {
      await discardPicture(received);
    }
  }

  /** Reserves the place in the queue first, so that a fetched picture always has room. */
  async #receive(url: string, signal: AbortSignal): Promise<ReceivedPicture> {
    const { pictures, admission, upload: limits, url: urlLimits } = this.#options;
    const reservation = admission.reserve(urlLimits.maxBytes);
    try {
      // Imported with the first URL, because the HTTP client is a tenth of the start-up time.
      const { fetchPicture } = await import('../fetch-url/fetch-picture.ts');
      const { body, filename } = await fetchPicture(url, urlLimits, signal);
      try {
        return await receivePicture(body, pictures, reservation, { filename, limits, signal });
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
    if (description.code === 'INTERNAL') {
      this.#options.log.error({ task_id: id, err: error }, 'a fetch failed with an internal error');
    }
    if (signal.aborted) return;
    if (hasNoRoom) {
      this.#options.log.warn(
        { task_id: id, reason: description.message },
        'fetching is paused because a picture has no room',
      );
      this.#pauseForRoom();
      return;
    }
    await this.#options.lifecycle.failWaiting(id, description);
  }
}
