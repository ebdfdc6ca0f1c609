/** A timer that can stand still: what it counts is only the time that runs. */
export class PausableTimer {
  readonly #whenUp: () => void;
  #left: number;
  #since = 0;
  #timer: NodeJS.Timeout | null = null;

  /** Calls `whenUp` when that many milliseconds have run, from now on; it must not be resumed after that. */
  constructor(milliseconds: number, whenUp: () => void) {
    this.#left = milliseconds;
    this.#whenUp = whenUp;
    this.resume();
  }

  /** Stands still until {@link resume}, or for good. Idempotent. */
  pause(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#left -= performance.now() - this.#since;
  }

  /** Runs on. */
  resume(): void {
    this.pause();
    this.#since = performance.now();
    this.#timer = setTimeout(this.#whenUp, Math.max(0, this.#left));
  }
}
