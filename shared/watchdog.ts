import type { Clock, Timer } from './clock.ts';

/** A watchdog counts its time in so many parts, unless it is told otherwise. */
const PARTS = 6;

/** Milliseconds of each part: what a watchdog's timer is set to. A stall of this process counts as one part at most. */
export function watchdogPart(milliseconds: number, parts: number = PARTS): number {
  return Math.ceil(milliseconds / parts);
}

/**
 * Calls `expired` when it has not been fed for so many milliseconds. Unlike a plain timer it is fair to the peer when
 * this process was stalled itself (a suspended machine, a paused VM, SIGSTOP, a long garbage collection):
 *
 * - it counts only time in which this process ran, and a stall as one part of its time at most;
 * - before it expires, the event loop reads what has arrived meanwhile. Node calls the timers that a stall has delayed
 *   before it reads any socket, but setImmediate's callbacks after that.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #milliseconds: number;
  readonly #part: number;
  readonly #expired: () => void;
  #timer: Timer;
  /** Milliseconds that the timer is set to: a part, or less for the last one. */
  #wait: number;
  #isUnref = false;
  /** Milliseconds left, and when the part that is being counted has begun. */
  #left: number;
  #begunAt: number;
  #longestStall = 0;
  #state: 'counting' | 'paused' | 'stopped' = 'counting';

  /** One that is fed more often than each part never wakes the process. */
  constructor(clock: Clock, milliseconds: number, expired: () => void, parts: number = PARTS) {
    this.#clock = clock;
    this.#milliseconds = milliseconds;
    this.#part = watchdogPart(milliseconds, parts);
    this.#expired = expired;
    this.#left = milliseconds;
    this.#begunAt = clock.now();
    this.#wait = this.#part;
    this.#timer = clock.setTimeout(() => this.#tick(), this.#part);
  }

  /** Lets the process end while it counts. */
  unref(): this {
    this.#isUnref = true;
    this.#timer.unref();
    return this;
  }

  /** Starts to count from the beginning again, also after it has expired or while it is paused. */
  feed(): void {
    if (this.#state === 'stopped') return;
    this.#left = this.#milliseconds;
    this.#state = 'counting';
    this.#count();
  }

  /** Stops counting until {@link resume} or {@link feed}. Idempotent. */
  pause(): void {
    if (this.#state !== 'counting') return;
    this.#state = 'paused';
    this.#left -= this.#countedNow;
  }

  /** Goes on counting after a pause. Idempotent. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'counting';
    this.#count();
  }

  /** Ends it for good. Idempotent. */
  stop(): void {
    this.#state = 'stopped';
    this.#clock.clearTimeout(this.#timer);
  }

  /** The longest time, in milliseconds, in which this process should have counted but did not run. */
  get longestStallMs(): number {
    return Math.max(this.#longestStall, this.#state === 'counting' ? this.#lateNow : 0);
  }

  /** Counts the next part. */
  #count(): void {
    this.#begunAt = this.#clock.now();
    const wait = Math.min(this.#part, this.#left);
    if (wait === this.#wait) {
      this.#timer.refresh();
      return;
    }
    this.#clock.clearTimeout(this.#timer);
    this.#wait = wait;
    this.#timer = this.#clock.setTimeout(() => this.#tick(), wait);
    if (this.#isUnref) this.#timer.unref();
  }

  #tick(): void {
    if (this.#state !== 'counting') return;
    this.#longestStall = this.longestStallMs;
    this.#left -= this.#wait;
    if (this.#left > 0) this.#count();
    else setImmediate(() => this.#expire());
  }

  /** Does nothing when it was fed, paused or stopped by what the event loop has read since its last tick. */
  #expire(): void {
    if (this.#state === 'counting' && this.#left <= 0) this.#expired();
  }

  /** Milliseconds of the current part that count. The clock may have been set back. */
  get #countedNow(): number {
    return Math.min(Math.max(this.#clock.now() - this.#begunAt, 0), this.#wait);
  }

  get #lateNow(): number {
    return Math.max(0, this.#clock.now() - this.#begunAt - this.#wait);
  }
}
