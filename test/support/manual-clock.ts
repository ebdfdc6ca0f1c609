import { EventEmitter, once } from 'node:events';
import type { Clock, Timer } from '../../shared/clock.ts';

/** A timer that fires when a test moves the clock past its time. */
class ManualTimer implements Timer {
  readonly milliseconds: number;
  readonly isRepeated: boolean;
  readonly callback: () => void;
  readonly #clock: ManualClock;
  due = 0;
  isCleared = false;

  constructor(clock: ManualClock, callback: () => void, milliseconds: number, isRepeated: boolean) {
    this.#clock = clock;
    this.callback = callback;
    this.milliseconds = milliseconds;
    this.isRepeated = isRepeated;
  }

  unref(): this {
    return this;
  }

  refresh(): this {
    if (!this.isCleared) this.#clock.start(this);
    return this;
  }
}

/** A clock that stands still until a test moves it, so that no test depends on the speed of the machine. */
export class ManualClock implements Clock {
  readonly #timers = new Set<ManualTimer>();
  readonly #changes = new EventEmitter();
  #now = 0;

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, milliseconds: number): Timer {
    return this.start(new ManualTimer(this, callback, milliseconds, false));
  }

  setInterval(callback: () => void, milliseconds: number): Timer {
    return this.start(new ManualTimer(this, callback, milliseconds, true));
  }

  clearTimeout(timer: ManualTimer | undefined): void {
    if (timer === undefined) return;
    timer.isCleared = true;
    this.#timers.delete(timer);
  }

  clearInterval(timer: ManualTimer | undefined): void {
    this.clearTimeout(timer);
  }

  /** True while a timer of so many milliseconds runs. */
  has(milliseconds: number): boolean {
    return [...this.#timers].some((timer) => timer.milliseconds === milliseconds);
  }

  /** Resolves when a timer of so many milliseconds runs; mocha's timeout limits the waiting. */
  async untilSet(milliseconds: number): Promise<void> {
    while (!this.has(milliseconds)) await once(this.#changes, 'start');
  }

  /** Moves the clock by so many milliseconds, and calls the timers that fall due, in order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#now = timer.due;
      if (timer.isRepeated) timer.due += timer.milliseconds;
      else this.#timers.delete(timer);
      timer.callback();
    }
    this.#now = end;
  }

  /** Starts a timer's time, or starts it again. */
  start(timer: ManualTimer): ManualTimer {
    timer.due = this.#now + timer.milliseconds;
    this.#timers.add(timer);
    this.#changes.emit('start');
    return timer;
  }

  #next(end: number): ManualTimer | undefined {
    const due = [...this.#timers].filter((timer) => timer.due <= end);
    return due.sort((one, other) => one.due - other.due)[0];
  }
}
