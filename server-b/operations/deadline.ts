import { DarkroomError } from '../../shared/errors.ts';

/** The time a worker may spend on one job, running from the moment the worker takes it. */
export class Deadline {
  readonly #milliseconds: number;
  readonly #end: number;

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
    this.#end = performance.now() + milliseconds;
  }

  /** Throws TIMEOUT when the time is up; to be asked between steps. */
  check(): void {
    if (performance.now() >= this.#end) throw this.error();
  }

  /**
   * What is left in whole seconds, at least 1, for sharp's timeout (which takes no fractions). It may run over by less
   * than the second that Server B grants a worker after the deadline.
   */
  secondsLeft(): number {
    return Math.max(1, Math.round((this.#end - performance.now()) / 1000));
  }

  /** The TIMEOUT a client reads. */
  error(): DarkroomError {
    return new DarkroomError('TIMEOUT', `Expected the picture to be done within ${this.#milliseconds} ms, it was not`);
  }
}
