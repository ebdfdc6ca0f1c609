import { DarkroomError } from '../../../shared/errors.ts';

/** Requests in hand for all clients, and for each. */
const MOST_REQUESTS = 1000;
const MOST_OF_A_CLIENT = 8;

/** A request that has come in: how many bytes it holds, and the work that answers it, which never rejects. */
interface Waiting {
  readonly bytes: number;
  readonly work: () => Promise<void>;
}

/**
 * Requests in hand: one at a time for each client, in the order they came, as a REP socket answers; clients side by side, so
 * that none waits for another's. Bounded in number and in bytes.
 */
export class RequestQueue {
  readonly #maxBytes: number;
  readonly #clients = new Map<string, Waiting[]>();
  #count = 0;
  #bytes = 0;
  #idle: (() => void) | null = null;

  /** `maxBytes` is what all requests in hand may hold together. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes a request in. Throws QUEUE_FULL when there is no room for it. */
  add(client: string, bytes: number, work: () => Promise<void>): void {
    const queue = this.#clients.get(client) ?? [];
    if (queue.length >= MOST_OF_A_CLIENT) throw full(`${MOST_OF_A_CLIENT} requests of one client`);
    if (this.#count >= MOST_REQUESTS) throw full(`${MOST_REQUESTS} requests`);
    if (this.#bytes + bytes > this.#maxBytes) throw full(`${this.#maxBytes} bytes of requests`);
    queue.push({ bytes, work });
    this.#count += 1;
    this.#bytes += bytes;
    if (queue.length > 1) return;
    this.#clients.set(client, queue);
    void this.#serve(client, queue);
  }

  /** Resolves when nothing is in hand. */
  async idle(): Promise<void> {
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  async #serve(client: string, queue: Waiting[]): Promise<void> {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      await first.work();
      queue.shift();
      this.#count -= 1;
      this.#bytes -= first.bytes;
    }
    this.#clients.delete(client);
    if (this.#count === 0) this.#idle?.();
  }
}

function full(most: string): DarkroomError {
  return new DarkroomError('QUEUE_FULL', `Expected at most ${most} at once, received one more; try again later`);
}
