import type { DarkroomError } from '../../shared/errors.ts';
import { timedOut } from '../job.ts';

/** The most milliseconds by which {@link Deadline.secondsLeft} rounds down. */
const ROUNDING_MS = 500;

/** The time a worker may spend on one job, running from the moment the worker takes it. */
export class Deadline {
  readonly #milliseconds: number;
  readonly #end: number;

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
    this.#end = performance.now() + milliseconds;
  }

  /** Throws TIMEOUT when the time is up. Call it between steps. */
  check(): void {
    if (performance.now() >= this.#end) throw this.error();
  }

  /**
   * The time left in whole seconds, at least 1, for sharp's timeout, which takes no fractions. sharp may therefore end
   * late, but by less than the second that Server B gives a worker after the deadline.
   */
  secondsLeft(): number {
    return Math.max(1, Math.round((this.#end - performance.now()) / 1000));
  }

  /** The time left in milliseconds, at least 0. */
  millisecondsLeft(): number {
    return Math.max(0, this.#end - performance.now());
  }

  /** True from the earliest moment at which sharp's timeout may end a pipeline. */
  get mayHaveEnded(): boolean {
    return performance.now() >= this.#end - ROUNDING_MS;
  }

  /** The TIMEOUT error that a client gets. */
  error(): DarkroomError {
    return timedOut(this.#milliseconds);
  }
}
