import type { Task } from '../../shared/task.ts';
import type { Store } from '../store/store.ts';

/** Task endings for a subscriber, the audience: at-least-once across restarts, once per process. */
export class Outbox {
  readonly #store: Store;
  readonly #read: (id: string) => Task | null;
  readonly #audiences = new Map<string, Audience>();
  #isClosed = false;

  /** `read` returns a task's record, or null when it no longer exists. */
  constructor(store: Store, read: (id: string) => Task | null) {
    this.#store = store;
    this.#read = read;
  }

  /** Adds a task of the audience whose end is on disk. */
  ended(audience: string, id: string): void {
    // An audience that has not subscribed yet reads the store when it does.
    this.#audiences.get(audience)?.add(id);
  }

  /**
   * Ended tasks that are not acknowledged, oldest end first, then each task as it ends, until abort or {@link close}.
   */
  async *endings(name: string, signal: AbortSignal): AsyncGenerator<Task> {
    const audience = this.#audienceOf(name);
    const wake = () => audience.wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted && !this.#isClosed) {
        const id = audience.take();
        if (id === undefined) await audience.more();
        else yield* this.#deliver(audience, id);
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  /** Acknowledges the end of the task for its audience; durable when this resolves. */
  async acknowledge(id: string): Promise<void> {
    await this.#store.write({ statement: 'acknowledge', parameters: { id } });
    for (const audience of this.#audiences.values()) audience.forget(id);
  }

  /** Ends every {@link endings}. */
  close(): void {
    this.#isClosed = true;
    for (const audience of this.#audiences.values()) audience.wake();
  }

  *#deliver(audience: Audience, id: string): Generator<Task> {
    const task = this.#read(id);
    if (task === null) audience.forget(id);
    else yield task;
  }

  #audienceOf(name: string): Audience {
    const known = this.#audiences.get(name);
    if (known !== undefined) return known;
    const audience = new Audience();
    this.#audiences.set(name, audience);
    for (const id of this.#store.unacknowledged(name)) audience.add(id);
    return audience;
  }
}

/** The ended tasks of one audience, in the order of their ends. */
class Audience {
  readonly #waiting = new Set<string>();
  /** Delivered, but not acknowledged yet. */
  readonly #delivered = new Set<string>();
  #wakers: (() => void)[] = [];

  /** Adds an ended task. Ignores a second call for it: both the store and the write of its end may report it. */
  add(id: string): void {
    if (this.#delivered.has(id)) return;
    this.#waiting.add(id);
    this.wake();
  }

  take(): string | undefined {
    const [id] = this.#waiting;
    if (id === undefined) return undefined;
    this.#waiting.delete(id);
    this.#delivered.add(id);
    return id;
  }

  forget(id: string): void {
    this.#waiting.delete(id);
    this.#delivered.delete(id);
  }

  /** Resolves at the next {@link wake}. */
  more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakers.push(resolve);
    });
  }

  wake(): void {
    for (const waker of this.#wakers.splice(0)) waker();
  }
}
