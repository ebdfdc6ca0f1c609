import { hasEnded, type Task } from '../../shared/task.ts';

/** High-water mark: changes buffered for a slow watcher. Above it the oldest is dropped. */
const MAX_BACKLOG = 16;

/** The watchers of tasks. Nothing is stored for a task without watchers. */
export class Watchers {
  readonly #watched = new Map<string, Set<Watcher>>();
  #isClosed = false;

  /** The number of tasks with watchers. */
  get size(): number {
    return this.#watched.size;
  }

  isWatched(id: string): boolean {
    return this.#watched.has(id);
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

  /** Ends every watch, and watches that begin later. */
  close(): void {
    this.#isClosed = true;
    for (const watchers of this.#watched.values()) {
      for (const watcher of watchers) watcher.stop();
    }
  }

  #add(id: string, watcher: Watcher): void {
    const watchers = this.#watched.get(id) ?? new Set<Watcher>();
    this.#watched.set(id, watchers.add(watcher));
  }

  #remove(id: string, watcher: Watcher): void {
    const watchers = this.#watched.get(id);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#watched.delete(id);
  }
}

/** The changes that one watcher has not read yet. */
class Watcher {
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
