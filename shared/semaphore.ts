/** A counting semaphore: a fixed number of permits; a caller without one waits, first come first served. */
export class Semaphore {
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(permits: number) {
    this.#free = permits;
  }

  /** Resolves true with a permit, or false, without one, when `signal` aborts first. */
  async acquire(signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return new Promise((settle) => {
      const grant = () => {
        signal?.removeEventListener('abort', leave);
        settle(true);
      };
      const leave = () => {
        this.#waiting.delete(grant);
        settle(false);
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.add(grant);
    });
  }

  /** Releases a permit; the caller that has waited longest gets it. */
  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }

  /** Runs `work` with a permit. Rejects like `work`. */
  async use<Value>(work: () => Promise<Value>): Promise<Value> {
    await this.acquire();
    try {
      return await work();
    } finally {
      this.release();
    }
  }
}
