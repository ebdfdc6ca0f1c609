import { z } from 'zod';
import type { Clock, Timer } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { hasEnded } from '../../shared/task.ts';
import { inputName, outputName, type Spool } from '../spool/spool.ts';
import { json, storedOutputSchema } from '../store/row.ts';
import type { Store } from '../store/store.ts';

/**
 * Milliseconds for which a record outlives its outputs, so that its result is told as expired and not as unknown; and
 * for which the boxes of a snippet without a picture are kept.
 */
const RECORD_MS = 7 * 24 * 60 * 60 * 1000;
/** Milliseconds between two looks at the clock: how much later than promised an output may go. */
const INTERVAL_MS = 60_000;
/** Rows changed by one write, so that other writes get their turn. */
const BATCH = 256;

const outputsText = json(z.array(storedOutputSchema));

/** Lets go of outputs and kept pictures that have expired, a week later of their records, and of boxes in no picture. */
export class Retention {
  readonly #store: Store;
  readonly #spool: Spool;
  readonly #log: Logger;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(store: Store, spool: Spool, log: Logger, clock: Clock) {
    this.#store = store;
    this.#spool = spool;
    this.#log = log;
    this.#clock = clock;
  }

  /** Looks every minute, without keeping the process alive. */
  start(): void {
    this.#timer = this.#clock.setInterval(() => {
      this.#running = this.#running
        .then(() => this.run(this.#clock.now()))
        .catch((error: unknown) => this.#log.error({ err: error }, 'expired outputs were not removed'));
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  /** Waits for the look under way; there is none after it. */
  async stop(): Promise<void> {
    this.#clock.clearInterval(this.#timer);
    await this.#running;
  }

  /** Removes what has expired at `now`, milliseconds since 1970. */
  async run(now: number): Promise<void> {
    while ((await this.#expireSome(now)) === BATCH);
    while ((await this.#expireOriginals(now)) === BATCH);
    while ((await this.#purgeSome(now)) === BATCH);
    // All at once: in a minute no more come of age than once came in in one.
    await this.#store.write({ statement: 'expireBoxes', parameters: { before: now - RECORD_MS } });
  }

  /** The record disowns its files first: what a crash leaves in between is swept at the next start. */
  async #expireSome(now: number): Promise<number> {
    const rows = await this.#store.write({ statement: 'expire', parameters: { now, most: BATCH } });
    for (const { id, attempt, outputs } of rows) {
      for (const name of picturesOf(outputs)) await this.#spool.remove(outputName(id, attempt, name));
    }
    return rows.length;
  }

  async #expireOriginals(now: number): Promise<number> {
    const rows = await this.#store.write({ statement: 'expireOriginals', parameters: { now, most: BATCH } });
    for (const { id, status } of rows) {
      // One that has not ended still needs its picture, and lets go of it at its end.
      if (hasEnded(status)) await this.#spool.remove(inputName(id));
    }
    return rows.length;
  }

  async #purgeSome(now: number): Promise<number> {
    const parameters = { before: now - RECORD_MS, most: BATCH };
    return (await this.#store.write({ statement: 'purge', parameters })).length;
  }
}

/** Names of the outputs that have files, of a row's JSON; none where it is damaged: a start sweeps those. */
function picturesOf(outputs: string | undefined): string[] {
  const stored = outputsText.safeParse(outputs).data ?? [];
  return stored.flatMap(({ header }) => (header.kind === 'picture' ? [header.name] : []));
}
