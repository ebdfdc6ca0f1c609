import { checkCost } from '../shared/cost.ts';
import { LARGE_JOB_BYTES } from './large-job.ts';

/** A job's reservation, which must be granted before its body is sent. */
export interface Claim {
  /** Memory for body, decoded picture and outputs, in bytes. */
  readonly bytes: number;
  /** The job must have the whole of Server B to itself. */
  readonly alone: boolean;
}

/** A granted claim. `release` frees slot and memory; a second call does nothing. */
export interface Reservation {
  release(): void;
}

interface Waiting {
  readonly claim: Claim;
  readonly grant: () => void;
}

/**
 * Slots and memory over all lanes. A claim is granted whole or not at all, first come first served, so that
 * half-granted jobs cannot deadlock and small jobs cannot starve a large one. At most `threads` claims are of large jobs:
 * a second one in a thread would take as much memory again, and none of the two would end earlier.
 */
export class Budget {
  readonly #slots: number;
  readonly #bytes: number;
  readonly #threads: number;
  readonly #queue = new Set<Waiting>();
  #slotsInUse = 0;
  #bytesInUse = 0;
  #largeInUse = 0;

  constructor(options: { slots: number; bytes: number; threads: number }) {
    this.#slots = options.slots;
    this.#bytes = options.bytes;
    this.#threads = options.threads;
  }

  /** Slots that are reserved. */
  get slotsInUse(): number {
    return this.#slotsInUse;
  }

  /** Bytes that are reserved. */
  get bytesInUse(): number {
    return this.#bytesInUse;
  }

  /**
   * Waits until the claim is the first in the queue and fits. Throws IMAGE_TOO_LARGE at once for a claim larger than
   * the whole budget, and the signal's reason when it aborts first.
   */
  async reserve(claim: Claim, signal: AbortSignal): Promise<Reservation> {
    checkCost(claim.bytes, this.#bytes);
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#queue.delete(waiting);
        reject(signal.reason);
        this.#grantNext();
      };
      const grant = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiting: Waiting = { claim, grant };
      signal.addEventListener('abort', leave, { once: true });
      this.#queue.add(waiting);
      this.#grantNext();
    });
    return this.#reservation(claim);
  }

  #reservation(claim: Claim): Reservation {
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        this.#count(claim, -1);
        this.#grantNext();
      },
    };
  }

  #grantNext(): void {
    for (const waiting of this.#queue) {
      if (!this.#fits(waiting.claim)) return;
      this.#queue.delete(waiting);
      this.#count(waiting.claim, 1);
      waiting.grant();
    }
  }

  #fits(claim: Claim): boolean {
    const { slots, bytes, large } = this.#needOf(claim);
    return (
      this.#slotsInUse + slots <= this.#slots &&
      this.#bytesInUse + bytes <= this.#bytes &&
      this.#largeInUse + large <= this.#threads
    );
  }

  /** Takes what a claim needs, or gives it back. */
  #count(claim: Claim, sign: 1 | -1): void {
    const { slots, bytes, large } = this.#needOf(claim);
    this.#slotsInUse += sign * slots;
    this.#bytesInUse += sign * bytes;
    this.#largeInUse += sign * large;
  }

  #needOf({ bytes, alone }: Claim): { slots: number; bytes: number; large: number } {
    return { slots: alone ? this.#slots : 1, bytes, large: bytes < LARGE_JOB_BYTES ? 0 : 1 };
  }
}
