import { z } from 'zod';
import type { Clock, Timer } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { hasEnded } from '../../shared/task.ts';
import type { Pictures } from '../pictures/pictures.ts';
import type { LostAndFound } from '../spool/lost-and-found.ts';
import { inputName, outputName } from '../spool/spool.ts';
import { json, storedOutputSchema } from '../store/row.ts';
import type { Store } from '../store/store.ts';
import type { Quarantine } from './quarantine.ts';
import { pictureNames } from './task-end.ts';

/**
 * Milliseconds to keep a record after its outputs have expired: until then the result is EXPIRED, not TASK_NOT_FOUND.
 * Boxes of a snippet without a picture are kept for the same time.
 */
const RECORD_MS = 7 * 24 * 60 * 60 * 1000;
/** Milliseconds between two runs, and the longest delay of a removal. */
const INTERVAL_MS = 60_000;
/** Rows that one write changes, so that other writes are not delayed. */
const BATCH = 256;

/** Pages of 4 KiB that stay free in the store, so that it does not shrink and grow again all the time. */
const FREE_PAGES = 4096;

const outputsText = json(z.array(storedOutputSchema));

/** What expires. */
export interface RetentionParts {
  readonly store: Store;
  readonly pictures: Pictures;
  readonly lostAndFound: LostAndFound;
  readonly quarantine: Quarantine;
}

/** Removes expired outputs and kept pictures, a week later their records, expired boxes without a picture, and lost files. */
export class Retention {
  readonly #store: Store;
  readonly #pictures: Pictures;
  readonly #lostAndFound: LostAndFound;
  readonly #quarantine: Quarantine;
  readonly #log: Logger;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor({ store, pictures, lostAndFound, quarantine }: RetentionParts, log: Logger, clock: Clock) {
    this.#store = store;
    this.#pictures = pictures;
    this.#lostAndFound = lostAndFound;
    this.#quarantine = quarantine;
    this.#log = log;
    this.#clock = clock;
  }

  /** Runs every minute, and at once if there is more to remove, without keeping the process alive. */
  start(isMore = false): void {
    if (isMore) this.#follow();
    this.#timer = this.#clock.setInterval(() => this.#follow(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Stops the timer, ends the current run after its batch, and waits for that. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#clock.clearInterval(this.#timer);
    await this.#running;
  }

  /** Removes what has expired at `now`, milliseconds since 1970, and gives the room back. */
  async run(now: number): Promise<void> {
    while (await this.runSome(now));
    await this.#shrink();
  }

  /** Removes at most a batch of each kind of what has expired at `now`. True when there is more. */
  async runSome(now: number): Promise<boolean> {
    const counts = [await this.#expireSome(now), await this.#expireOriginals(now), await this.#purgeSome(now)];
    if (counts.includes(BATCH)) return !this.#isStopped;
    // One write without a limit: no more boxes expire in a minute than were put in a minute.
    await this.#store.write({ statement: 'expireBoxes', parameters: { before: now - RECORD_MS } });
    await this.#lostAndFound.expire(now);
    await this.#quarantine.expire(now);
    return false;
  }

  /** Runs after the current run. */
  #follow(): void {
    this.#running = this.#running
      .then(() => this.run(this.#clock.now()))
      .catch((error: unknown) => this.#log.error({ err: error }, 'expired outputs were not removed'));
  }

  /** Gives the free pages of the store back, a few with each write. Pages that the next pictures will need stay. */
  async #shrink(): Promise<void> {
    let free = this.#store.freePages;
    while (free > FREE_PAGES && !this.#isStopped) {
      await this.#store.write({ statement: 'shrink', parameters: {} });
      const before = free;
      free = this.#store.freePages;
      // A store of an older Darkroom cannot shrink.
      if (free >= before) return;
    }
  }

  /** Changes the record first: the next start moves files that a crash leaves behind to lost+found. */
  async #expireSome(now: number): Promise<number> {
    const rows = await this.#store.write({ statement: 'expire', parameters: { now, most: BATCH } });
    for (const row of rows) {
      const names = picturesOf(row.outputs).map((name) => outputName(row.id, row.attempt, name));
      await this.#pictures.remove(row, names);
    }
    return rows.length;
  }

  async #expireOriginals(now: number): Promise<number> {
    const rows = await this.#store.write({ statement: 'expireOriginals', parameters: { now, most: BATCH } });
    for (const row of rows) {
      // A task that has not ended still needs its picture, and removes it at its end.
      if (hasEnded(row.status)) await this.#pictures.remove(row, [inputName(row.id)]);
    }
    return rows.length;
  }

  async #purgeSome(now: number): Promise<number> {
    const parameters = { before: now - RECORD_MS, most: BATCH };
    return (await this.#store.write({ statement: 'purge', parameters })).length;
  }
}

/** The names of the outputs with files in a row's JSON; none for damaged JSON, whose files the next start sets aside. */
function picturesOf(outputs: string | undefined): string[] {
  return pictureNames(outputsText.safeParse(outputs).data ?? []);
}
