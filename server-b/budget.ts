import { checkCost } from '../shared/cost.ts';

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
 * half-granted jobs cannot deadlock and small jobs cannot starve a large one.
 */
export class Budget {
  readonly #slots: number;
  readonly #bytes: number;
  readonly #queue = new Set<Waiting>();
  #slotsInUse = 0;
  #bytesInUse = 0;

  constructor(options: { slots: number; bytes: number }) {
    this.#slots = options.slots;
    this.#bytes = options.bytes;
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
    const slots = this.#slotsOf(claim);
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        this.#slotsInUse -= slots;
        this.#bytesInUse -= claim.bytes;
        this.#grantNext();
      },
    };
  }

  #grantNext(): void {
    for (const waiting of this.#queue) {
      const slots = this.#slotsOf(waiting.claim);
      if (this.#slotsInUse + slots > this.#slots || this.#bytesInUse + waiting.claim.bytes > this.#bytes) return;
      this.#queue.delete(waiting);
      this.#slotsInUse += slots;
      this.#bytesInUse += waiting.claim.bytes;
      waiting.grant();
    }
  }

  #slotsOf(claim: Claim): number {
    return claim.alone ? this.#slots : 1;
  }
}
