import { hasEnded, type Task } from '../../shared/task.ts';

/** High-water mark: changes buffered for a slow watcher. Above it the oldest is dropped. */
const MAX_BACKLOG = 16;

/** A listener for the changes of a task. */
interface Watching {
  /** True when it needs only the task's end. */
  readonly onlyEnd: boolean;
  push(task: Task): void;
  stop(): void;
}

/** A wait for the end of a task. */
export interface EndWait {
  /** The task at its end; null after `stop`, and at {@link Watchers.close}. */
  readonly ended: Promise<Task | null>;
  stop(): void;
}

/** The watchers of tasks. Nothing is stored for a task without watchers. */
export class Watchers {
  readonly #watched = new Map<string, Set<Watching>>();
  #isClosed = false;

  /** The number of tasks with watchers. */
  get size(): number {
    return this.#watched.size;
  }

  /** True when a watcher of the task needs such a change. */
  isWatched(id: string, change: 'end' | 'other'): boolean {
    const watchers = this.#watched.get(id);
    if (watchers === undefined || change === 'end') return watchers !== undefined;
    return [...watchers].some(({ onlyEnd }) => !onlyEnd);
  }

  /** Sends the task to its watchers. */
  notify(task: Task): void {
    for (const watcher of this.#watched.get(task.task_id) ?? []) watcher.push(task);
  }

  /**
   * Yields the result of `read`, then each task of {@link notify}, until the task ends, the signal aborts or
   * {@link close} is called. A slow reader gets only the newest changes.
   */
  async *watch(id: string, read: () => Task, signal: AbortSignal): AsyncGenerator<Task> {
    const watcher = new Watcher(read());
    const stop = () => watcher.stop();
    this.#add(id, watcher);
    signal.addEventListener('abort', stop);
    if (signal.aborted || this.#isClosed) stop();
    try {
      for (let task = await watcher.next(); task !== null; task = await watcher.next()) {
        yield task;
        if (hasEnded(task.status)) return;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#remove(id, watcher);
    }
  }

  /** Waits for the end of a task that has not ended. */
  awaitEnd(id: string): EndWait {
    const { promise, resolve } = withResolver<Task | null>();
    const finish = (task: Task | null) => {
      this.#remove(id, watching);
      resolve(task);
    };
    const stop = () => finish(null);
    const push = (task: Task) => {
      if (hasEnded(task.status)) finish(task);
    };
    const watching: Watching = { onlyEnd: true, push, stop };
    this.#add(id, watching);
    if (this.#isClosed) stop();
    return { ended: promise, stop };
  }

  /** Ends every watch, and watches that begin later. */
  close(): void {
    this.#isClosed = true;
    for (const watchers of this.#watched.values()) {
      for (const watcher of watchers) watcher.stop();
    }
  }

  #add(id: string, watcher: Watching): void {
    const watchers = this.#watched.get(id) ?? new Set<Watching>();
    this.#watched.set(id, watchers.add(watcher));
  }

  #remove(id: string, watcher: Watching): void {
    const watchers = this.#watched.get(id);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#watched.delete(id);
  }
}

/** The changes that one watcher has not read yet. */
class Watcher implements Watching {
  readonly onlyEnd = false;
  readonly #backlog: Task[];
  #isStopped = false;
  #wake: () => void = () => undefined;

  constructor(first: Task) {
    this.#backlog = [first];
  }

  push(task: Task): void {
    this.#backlog.push(task);
    if (this.#backlog.length > MAX_BACKLOG) this.#backlog.shift();
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  /** Resolves with the next change; null after {@link stop}. */
  async next(): Promise<Task | null> {
    if (this.#backlog.length === 0 && !this.#isStopped) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#isStopped ? null : (this.#backlog.shift() ?? null);
  }
}

/** A promise and the function that resolves it (Promise.withResolvers, which Node 20 lacks). */
function withResolver<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
