import type { Clock, Timer } from './clock.ts';

/**
 * Milliseconds to the next moment that is a multiple of `period` since 1970, at least half a period ahead. All that
 * waits in this way, in every process of the machine, wakes at the same moments, so that an idle service wakes the
 * processor seldom.
 */
export function untilAligned(now: number, period: number): number {
  const left = period - (now % period);
  return left < period / 2 ? left + period : left;
}

/**
 * Calls back at the moments of {@link untilAligned} until it is stopped, without keeping the process alive. A stall of
 * this process delays one call and drops the others.
 */
export class AlignedInterval {
  readonly #clock: Clock;
  readonly #period: number;
  readonly #callback: () => void;
  #timer: Timer;

  constructor(clock: Clock, period: number, callback: () => void) {
    this.#clock = clock;
    this.#period = period;
    this.#callback = callback;
    this.#timer = this.#start();
  }

  /** Idempotent. */
  stop(): void {
    this.#clock.clearTimeout(this.#timer);
  }

  #start(): Timer {
    const wait = untilAligned(this.#clock.now(), this.#period);
    return this.#clock.setTimeout(() => this.#fire(), wait).unref();
  }

  /** The next time is set first, so that the callback can stop it. */
  #fire(): void {
    this.#timer = this.#start();
    this.#callback();
  }
}
