import { type Clock, SYSTEM_CLOCK, type Timer } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import type { ListenAddress } from './listener.ts';
import type { Supervisor } from './supervisor.ts';

/** How long the process is kept when it is no longer wanted, in milliseconds: starting it takes a second of CPU. */
const LINGER_MS = 30_000;
/** Pause before the next try when it cannot start, in milliseconds. */
const RETRY_MS = 5000;

/** What starts, replaces and ends the process. */
export type Supervised = Pick<Supervisor, 'address' | 'onChange' | 'start' | 'close'>;

/**
 * A Server B that runs only while it is wanted, so that its memory is not taken all the time. Server A runs suspects on
 * it, and all other tasks on the Server B that always runs.
 */
export class OnDemandServerB {
  readonly #supervise: () => Supervised;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  readonly #closings = new Set<Promise<void>>();
  #current: Supervised | null = null;
  #isWanted = false;
  #isClosed = false;
  /** The end of a process that is not wanted, or the next try to start one that is. */
  #timer: Timer | undefined;

  /** `supervise` makes the supervisor of each process; the clock is the system's unless a test gives its own. */
  constructor(supervise: () => Supervised, log: Logger, clock: Clock = SYSTEM_CLOCK) {
    this.#supervise = supervise;
    this.#log = log;
    this.#clock = clock;
  }

  /** Where it listens; null while it does not run. */
  get address(): ListenAddress | null {
    return this.#current?.address ?? null;
  }

  /** Calls the listener each time the address changes. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Starts the process when it is wanted, and ends it some time after it is no longer wanted. Cheap without a change. */
  want(isWanted: boolean): void {
    if (isWanted === this.#isWanted || this.#isClosed) return;
    this.#isWanted = isWanted;
    this.#clock.clearTimeout(this.#timer);
    if (!isWanted) this.#timer = this.#clock.setTimeout(() => this.#end(), LINGER_MS);
    else if (this.#current === null) this.#begin();
  }

  /** Ends the process and starts no other. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#clock.clearTimeout(this.#timer);
    this.#end();
    await Promise.all(this.#closings);
  }

  #begin(): void {
    const supervisor = this.#supervise();
    this.#current = supervisor;
    supervisor.onChange(() => {
      if (this.#current === supervisor) this.#changed();
    });
    supervisor.start().catch((error: unknown) => {
      // Ended while it started.
      if (this.#current !== supervisor) return;
      this.#current = null;
      this.#log.error({ err: error }, 'the Server B for suspects cannot start');
      if (this.#isWanted) this.#timer = this.#clock.setTimeout(() => this.#begin(), RETRY_MS);
    });
  }

  /** The address is null at once, so that Server A closes its lanes before the process ends. */
  #end(): void {
    const supervisor = this.#current;
    if (supervisor === null) return;
    this.#current = null;
    this.#changed();
    const closing = supervisor.close().finally(() => this.#closings.delete(closing));
    this.#closings.add(closing);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
