import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8000;

/**
 * Milliseconds of a Retry-After header (RFC 9110, section 10.2.3: seconds or a date); null without a header or for one
 * that cannot be read.
 */
export function parseRetryAfter(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  // Date.parse accepts many texts that are not dates, so it gets only HTTP's own form.
  const date = /^[A-Z][a-z]{2}, .+ GMT$/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** Back-off with jitter between the attempts of one request: `patienceMs` in total. */
export class Backoff {
  readonly #patienceMs: number;
  #waitedMs = 0;
  #nextMs = FIRST_DELAY_MS;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Sleeps before another attempt, at least `askedMs`. False, at once, when the total would exceed `patienceMs`. */
  async wait(askedMs: number, signal: AbortSignal): Promise<boolean> {
    // Jitter of up to a quarter, so that clients that were refused together do not come back together.
    const delay = Math.max(askedMs, this.#nextMs) * (1 + Math.random() / 4);
    if (this.#waitedMs + delay > this.#patienceMs) return false;
    this.#waitedMs += delay;
    this.#nextMs = Math.min(this.#nextMs * 2, LONGEST_DELAY_MS);
    await sleep(delay, undefined, { signal });
    return true;
  }
}
