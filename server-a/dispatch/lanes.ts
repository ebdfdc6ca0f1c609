import type { Clock, Timer } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import type { LaneTiming } from '../../shared/wire/lane.ts';
import type { Message } from '../../shared/wire/messages.ts';
import type { JobFiles } from './contract.ts';
import { LaneClient } from './lane-client.ts';
import type { Answer } from './verdict.ts';

/** First and longest wait before connecting again, in milliseconds; it doubles in between. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1000;

/** The address of Server B. */
export interface Backend {
  /** Null while Server B is being replaced. */
  readonly address: { readonly host: string; readonly port: number } | null;
  /** Calls the listener when the address changes. */
  onChange(listener: () => void): void;
}

/** A Server B that runs only while it is wanted. */
export interface OnDemandBackend extends Backend {
  /** Called at each chance that this has changed. */
  want(isWanted: boolean): void;
}

export interface LanesOptions {
  readonly backend: Backend;
  readonly token: string | undefined;
  readonly files: JobFiles;
  readonly log: Logger;
  readonly timing: LaneTiming;
  readonly clock: Clock;
  /** Called when an instance greets on a lane or changes what it offers. */
  answered(answer: Answer): void;
}

/** Keeps as many lanes open as Server B has slots, and reconnects with back-off when one is lost. */
export class Lanes {
  readonly #options: LanesOptions;
  readonly #lanes = new Set<LaneClient>();
  #welcome: Message<'WELCOME'> | null = null;
  #memoryBytes: number | null = null;
  #problem = 'Server B has not answered yet';
  #retry: Timer | null = null;
  #waitMs = FIRST_WAIT_MS;
  #isClosed = false;
  /** True after the log line that no lane is open, until a lane greets. */
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

  /** Why no lane is open, in words; null when a lane is open. */
  get problem(): string | null {
    return this.openCount > 0 ? null : this.#problem;
  }

  /** The name of the classifier from the last WELCOME; null without a classifier or before the first WELCOME. */
  get model(): string | null {
    return this.#welcome?.model ?? null;
  }

  /** The smallest memory, in bytes, that a WELCOME has announced; null before the first that announces one. */
  get memoryBytes(): number | null {
    return this.#memoryBytes;
  }

  /** The last WELCOME; null before the first one. */
  get answer(): Answer | null {
    return this.#welcome;
  }

  /** A lane of the current instance that can run a job now; undefined without one. */
  free(): LaneClient | undefined {
    return [...this.#lanes].find((lane) => lane.isFree && lane.instance === this.#welcome?.instance);
  }

  /** Closes every lane. No other lane opens. */
  close(): void {
    this.#isClosed = true;
    if (this.#retry !== null) this.#options.clock.clearTimeout(this.#retry);
    for (const lane of this.#lanes) lane.close();
  }

  #addressChanged(): void {
    this.#waitMs = FIRST_WAIT_MS;
    this.#fill();
  }

  /** Opens the missing lanes: only one until Server B has sent its number of slots. */
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
    this.#noteMemory(welcome.memory_bytes);
    this.#waitMs = FIRST_WAIT_MS;
    this.#fill();
    this.#options.answered(welcome);
  }

  #noteMemory(bytes: number | undefined): void {
    const known = this.#memoryBytes;
    if (bytes === undefined || (known !== null && bytes >= known)) return;
    this.#memoryBytes = bytes;
    if (known !== null) {
      this.#options.log.warn({ memory_bytes: bytes }, 'Server B has less memory than before; larger jobs are refused');
    }
  }

  #lost(lane: LaneClient, reason: string): void {
    this.#lanes.delete(lane);
    this.#problem = reason;
    const isStopped = this.#options.backend.address === null;
    if (!this.#isClosed && !this.#isDown && !isStopped && this.openCount === 0) {
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
