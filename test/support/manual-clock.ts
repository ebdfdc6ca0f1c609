import type { Clock, Timer } from '../../shared/clock.ts';

interface ManualTimer extends Timer {
  /** When it fires, in milliseconds since 1970. */
  due: number;
  readonly fire: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #now: number;
  readonly #timers = new Map<Timer, ManualTimer>();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  /** Timers that have not fired. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  /** Moves the time on, and fires each timer that is due on the way at its own time, the earliest first. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#now = next.due;
      next.fire();
    }
    this.#now = end;
  }

  setTimeout(callback: () => void, milliseconds: number): Timer {
    const timer = this.#start(milliseconds, () => {
      this.#timers.delete(timer);
      callback();
    });
    return timer;
  }

  clearTimeout(timer: Timer): void {
    this.#timers.delete(timer);
  }

  setInterval(callback: () => void, milliseconds: number): Timer {
    const timer = this.#start(milliseconds, () => {
      timer.refresh();
      callback();
    });
    return timer;
  }

  clearInterval(timer: Timer): void {
    this.#timers.delete(timer);
  }

  #start(milliseconds: number, fire: () => void): ManualTimer {
    const timer: ManualTimer = {
      due: this.#now + milliseconds,
      fire,
      unref: () => timer,
      refresh: () => {
        timer.due = this.#now + milliseconds;
        this.#timers.set(timer, timer);
        return timer;
      },
    };
    this.#timers.set(timer, timer);
    return timer;
  }

  #next(end: number): ManualTimer | undefined {
    const due = [...this.#timers.values()].filter((timer) => timer.due <= end);
    return due.toSorted((one, other) => one.due - other.due)[0];
  }
}
