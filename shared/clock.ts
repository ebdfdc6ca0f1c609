/** A timer of a {@link Clock}. */
export interface Timer {
  /** Lets the process end although the timer has not fired. */
  unref(): Timer;
  /** Starts the timer's time again. */
  refresh(): Timer;
}

/** Time as the durable path sees it: the system's clock, or a test's. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(callback: () => void, milliseconds: number): Timer;
  clearTimeout(timer: Timer): void;
  setInterval(callback: () => void, milliseconds: number): Timer;
  clearInterval(timer: Timer): void;
}

/** The system's clock. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, milliseconds) => setTimeout(callback, milliseconds),
  clearTimeout: (timer: NodeJS.Timeout) => clearTimeout(timer),
  setInterval: (callback, milliseconds) => setInterval(callback, milliseconds),
  clearInterval: (timer: NodeJS.Timeout) => clearInterval(timer),
};
