import type { Clock, Timer } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import type { LaneTiming } from '../../shared/wire/lane.ts';
import type { Message } from '../../shared/wire/messages.ts';
import type { JobFiles } from './contract.ts';
import { LaneClient } from './lane-client.ts';

/** First and longest wait before connecting again, in milliseconds; it doubles in between. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1000;

/** Where Server B is, now; null while it is being replaced. */
export interface Backend {
  readonly address: { readonly host: string; readonly port: number } | null;
  /** Calls the listener when the address changes. */
  onChange(listener: () => void): void;
}

export interface LanesOptions {
  readonly backend: Backend;
  readonly token: string | undefined;
  readonly files: JobFiles;
  readonly log: Logger;
  readonly timing: LaneTiming;
  readonly clock: Clock;
  /** A lane greeted, or B told anew what it offers: `instance` answers. */
  answered(instance: string): void;
}

/** Keeps as many lanes open as Server B has slots, and connects again when they are lost. */
export class Lanes {
  readonly #options: LanesOptions;
  readonly #lanes = new Set<LaneClient>();
  #welcome: Message<'WELCOME'> | null = null;
  #problem = 'Server B has not answered yet';
  #retry: Timer | null = null;
  #waitMs = FIRST_WAIT_MS;
  #isClosed = false;
  /** The log has been told that no lane is up. */
  #isDown = false;

  constructor(options: LanesOptions) {
    this.#options = options;
    options.backend.onChange(() => this.#addressChanged());
    this.#fill();
  }

  /** Lanes that have greeted. */
  get openCount(): number {
    return [...this.#lanes].filter((lane) => lane.isOpen).length;
  }

  /** Why no lane is up, for people; null when one is. */
  get problem(): string | null {
    return this.openCount > 0 ? null : this.#problem;
  }

  /** The classifier's name as B told it last; null when it has none or was never heard. */
  get model(): string | null {
    return this.#welcome?.model ?? null;
  }

  /** The life of Server B that answered last; null before the first. */
  get instance(): string | null {
    return this.#welcome?.instance ?? null;
  }

  /** A lane of the living instance that takes a job now; undefined when there is none. */
  free(): LaneClient | undefined {
    return [...this.#lanes].find((lane) => lane.isFree && lane.instance === this.instance);
  }

  /** Closes every lane and opens no other. */
  close(): void {
    this.#isClosed = true;
    if (this.#retry !== null) this.#options.clock.clearTimeout(this.#retry);
    for (const lane of this.#lanes) lane.close();
  }

  #addressChanged(): void {
    this.#waitMs = FIRST_WAIT_MS;
    this.#fill();
  }

  /** One lane until B has said how many slots it has. */
  #fill(): void {
    const { address } = this.#options.backend;
    if (this.#isClosed || address === null) return;
    const wanted = this.openCount > 0 ? (this.#welcome?.slots ?? 1) : 1;
    while (this.#lanes.size < wanted) this.#lanes.add(this.#open(address));
  }

  #open(address: { host: string; port: number }): LaneClient {
    const { token, files, timing, clock } = this.#options;
    return new LaneClient(address, {
      token,
      files,
      timing,
      clock,
      welcomed: (_lane, welcome) => this.#welcomed(welcome),
      closed: (lane, reason) => this.#lost(lane, reason),
    });
  }

  #welcomed(welcome: Message<'WELCOME'>): void {
    if (this.#isDown) this.#options.log.info({ instance: welcome.instance, slots: welcome.slots }, 'Server B answers');
    this.#isDown = false;
    this.#welcome = welcome;
    this.#waitMs = FIRST_WAIT_MS;
    this.#fill();
    this.#options.answered(welcome.instance);
  }

  #lost(lane: LaneClient, reason: string): void {
    this.#lanes.delete(lane);
    this.#problem = reason;
    if (!this.#isClosed && !this.#isDown && this.openCount === 0) {
      this.#isDown = true;
      this.#options.log.warn({ reason }, 'Server B does not answer; tasks wait');
    }
    if (this.#isClosed || this.#retry !== null) return;
    this.#retry = this.#options.clock.setTimeout(() => {
      this.#retry = null;
      this.#fill();
    }, this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
  }
}
