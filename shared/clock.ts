/** A timer of a {@link Clock}; NodeJS.Timeout is one. */
export interface Timer {
  /** Lets the process end while the timer runs. */
  unref(): Timer;
  /** Restarts the timer, also after it has fired. A cleared timer stays cleared. */
  refresh(): Timer;
}

/** Time and timers with Node's names, so that a simulation can replace them. A timer belongs to the clock that made it. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  setTimeout(callback: () => void, milliseconds: number): Timer;
  clearTimeout(timer: Timer | undefined): void;
  setInterval(callback: () => void, milliseconds: number): Timer;
  clearInterval(timer: Timer | undefined): void;
}

/** The clock of the system. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, milliseconds) => setTimeout(callback, milliseconds),
  clearTimeout(timer: NodeJS.Timeout | undefined) {
    clearTimeout(timer);
  },
  setInterval: (callback, milliseconds) => setInterval(callback, milliseconds),
  clearInterval(timer: NodeJS.Timeout | undefined) {
    clearInterval(timer);
  },
};
