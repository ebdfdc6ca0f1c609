import { DarkroomError } from '../../../shared/errors.ts';

/** The most requests in progress, of all clients and of one. */
const MAX_REQUESTS = 1000;
const MAX_OF_CLIENT = 8;

/** A request in the queue: its bytes, and the work that answers it, which never rejects. */
interface Waiting {
  readonly bytes: number;
  readonly work: () => Promise<void>;
}

/**
 * The requests in progress. Those of one client run one after the other, in order, as on a REP socket; those of
 * different clients run at the same time. The queue is bounded in requests and in bytes.
 */
export class RequestQueue {
  readonly #maxBytes: number;
  readonly #clients = new Map<string, Waiting[]>();
  #count = 0;
  #bytes = 0;
  #idle: (() => void) | null = null;

  /** `maxBytes` is the limit for all requests together. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds a request. Throws QUEUE_FULL when a limit is reached. */
  add(client: string, bytes: number, work: () => Promise<void>): void {
    const queue = this.#clients.get(client) ?? [];
    if (queue.length >= MAX_OF_CLIENT) throw full(`${MAX_OF_CLIENT} requests of this client`);
    if (this.#count >= MAX_REQUESTS) throw full(`${MAX_REQUESTS} requests`);
    if (this.#bytes + bytes > this.#maxBytes) throw full(`${this.#maxBytes} bytes of requests`);
    queue.push({ bytes, work });
    this.#count += 1;
    this.#bytes += bytes;
    if (queue.length > 1) return;
    this.#clients.set(client, queue);
    void this.#serve(client, queue);
  }

  /** Resolves when no request is in progress. */
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

function full(limit: string): DarkroomError {
  return new DarkroomError('QUEUE_FULL', `The server accepts at most ${limit} at once. Try again later.`);
}
