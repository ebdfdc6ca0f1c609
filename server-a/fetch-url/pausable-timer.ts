/** A timer that can be paused; only the time between pauses counts. */
export class PausableTimer {
  readonly #callback: () => void;
  #remaining: number;
  #startedAt = 0;
  #timer: NodeJS.Timeout | null = null;

  /** Starts; calls `callback` after `milliseconds` without pauses. Must not be resumed after that. */
  constructor(milliseconds: number, callback: () => void) {
    this.#remaining = milliseconds;
    this.#callback = callback;
    this.resume();
  }

  /** Pauses until {@link resume}. Idempotent. */
  pause(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#remaining -= performance.now() - this.#startedAt;
  }

  /** Continues after a pause. Idempotent. */
  resume(): void {
    this.pause();
    this.#startedAt = performance.now();
    this.#timer = setTimeout(this.#callback, Math.max(0, this.#remaining));
  }
}
