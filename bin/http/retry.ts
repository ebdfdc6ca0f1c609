import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8000;

/**
 * Milliseconds a Retry-After header asks for (RFC 9110, section 10.2.3: seconds or a date); null when there is none or
 * it cannot be read.
 */
export function parseRetryAfter(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  // Date.parse takes much for a date that is none, so only HTTP's own form gets there.
  const date = /^[A-Z][a-z]{2}, .+ GMT$/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** Waits between attempts at one request: doubling, scattered, never shorter than asked, and `patienceMs` in all. */
export class Backoff {
  readonly #patienceMs: number;
  #waitedMs = 0;
  #nextMs = FIRST_DELAY_MS;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Sleeps before another attempt; false, at once, when that would be longer than patience lasts. */
  async wait(askedMs: number, signal: AbortSignal): Promise<boolean> {
    // Scattered by up to a quarter, so that clients refused together do not come back together.
    const delay = Math.max(askedMs, this.#nextMs) * (1 + Math.random() / 4);
    if (this.#waitedMs + delay > this.#patienceMs) return false;
    this.#waitedMs += delay;
    this.#nextMs = Math.min(this.#nextMs * 2, LONGEST_DELAY_MS);
    await sleep(delay, undefined, { signal });
    return true;
  }
}
