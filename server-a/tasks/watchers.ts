import { hasEnded, type Task } from '../../shared/task.ts';

/** Changes kept for a watcher that does not keep up; the oldest go first. */
const MOST_BEHIND = 16;

/** Those who follow tasks. Nothing is kept for a task that nobody watches. */
export class Watchers {
  readonly #watched = new Map<string, Set<Watcher>>();
  #isClosed = false;

  /** Tasks that somebody watches. */
  get size(): number {
    return this.#watched.size;
  }

  isWatched(id: string): boolean {
    return this.#watched.has(id);
  }

  /** Tells those who watch the task what it is now. */
  notify(task: Task): void {
    for (const watcher of this.#watched.get(task.task_id) ?? []) watcher.push(task);
  }

  /**
   * What `read` gives at the first step, then each change told to {@link notify}, up to the task's end, the signal's
   * abort, or {@link close}.
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

  /** Ends every watch, those that begin later, too. */
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

/** What one watcher has not seen yet. */
class Watcher {
  readonly #backlog: Task[];
  #isStopped = false;
  #wake: () => void = () => undefined;

  constructor(first: Task) {
    this.#backlog = [first];
  }

  push(task: Task): void {
    this.#backlog.push(task);
    if (this.#backlog.length > MOST_BEHIND) this.#backlog.shift();
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  /** Resolves with the next change, or null once stopped. */
  async next(): Promise<Task | null> {
    if (this.#backlog.length === 0 && !this.#isStopped) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#isStopped ? null : (this.#backlog.shift() ?? null);
  }
}
