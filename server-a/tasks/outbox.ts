import type { Task } from '../../shared/task.ts';
import type { Store } from '../store/store.ts';

/** Ends that an audience must be told of: each at least once over all lives of the service, and once in this one. */
export class Outbox {
  readonly #store: Store;
  readonly #read: (id: string) => Task | null;
  readonly #audiences = new Map<string, Audience>();
  #isClosed = false;

  /** `read` gives a task's record, null for one that is not there any more. */
  constructor(store: Store, read: (id: string) => Task | null) {
    this.#store = store;
    this.#read = read;
  }

  /** A task of the audience's has ended, and that is on disk. */
  ended(audience: string, id: string): void {
    // Of an audience that never asked nothing is kept here: it reads the store when it comes.
    this.#audiences.get(audience)?.add(id);
  }

  /** Ended tasks the audience has not been told of, oldest end first, then each as it ends; until abort or close. */
  async *endings(name: string, signal: AbortSignal): AsyncGenerator<Task> {
    const audience = this.#audienceOf(name);
    const wake = () => audience.wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted && !this.#isClosed) {
        const id = audience.take();
        if (id === undefined) await audience.more();
        else yield* this.#give(audience, id);
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  /** The audience of the task has been told; durable when this resolves. */
  async acknowledge(id: string): Promise<void> {
    await this.#store.write({ statement: 'acknowledge', parameters: { id } });
    for (const audience of this.#audiences.values()) audience.forget(id);
  }

  /** Ends every {@link endings}. */
  close(): void {
    this.#isClosed = true;
    for (const audience of this.#audiences.values()) audience.wake();
  }

  *#give(audience: Audience, id: string): Generator<Task> {
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

/** What one audience is owed: ids in the order of their ends. */
class Audience {
  readonly #waiting = new Set<string>();
  /** Given, and not acknowledged yet. */
  readonly #given = new Set<string>();
  #wakers: (() => void)[] = [];

  /** An end that was read from the store may be told a second time by the write that made it. */
  add(id: string): void {
    if (this.#given.has(id)) return;
    this.#waiting.add(id);
    this.wake();
  }

  take(): string | undefined {
    const [id] = this.#waiting;
    if (id === undefined) return undefined;
    this.#waiting.delete(id);
    this.#given.add(id);
    return id;
  }

  forget(id: string): void {
    this.#waiting.delete(id);
    this.#given.delete(id);
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
