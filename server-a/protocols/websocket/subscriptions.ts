import { DarkroomError } from '../../../shared/errors.ts';
import type { Task } from '../../../shared/task.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { MAX_SUBSCRIPTIONS } from './event-messages.ts';

/** Receives a client's tasks and errors. Each promise resolves when the client is ready for the next: backpressure. */
export interface Subscriber {
  task(task: Task): Promise<void>;
  error(error: unknown, id: string): Promise<void>;
}

/** The tasks that one client watches, each until the task ends or the client unsubscribes or disconnects. */
export class Subscriptions {
  readonly #tasks: Pick<Tasks, 'watch'>;
  readonly #subscriber: Subscriber;
  readonly #watches = new Map<string, AbortController>();

  constructor(tasks: Pick<Tasks, 'watch'>, subscriber: Subscriber) {
    this.#tasks = tasks;
    this.#subscriber = subscriber;
  }

  /** Number of tasks watched now. */
  get size(): number {
    return this.#watches.size;
  }

  /** Reports the record now and at each change. Subscribing to a watched id again starts its watch again. */
  subscribe(id: string): void {
    this.unsubscribe(id);
    if (this.#watches.size >= MAX_SUBSCRIPTIONS) {
      const message = `This connection watches ${MAX_SUBSCRIPTIONS} tasks, its limit.`;
      void this.#subscriber.error(new DarkroomError('RATE_LIMITED', message), id);
      return;
    }
    const watch = new AbortController();
    this.#watches.set(id, watch);
    void this.#follow(id, watch);
  }

  /** Ends the watch of a task. */
  unsubscribe(id: string): void {
    this.#watches.get(id)?.abort();
    this.#watches.delete(id);
  }

  /** Ends every watch. */
  close(): void {
    for (const watch of this.#watches.values()) watch.abort();
    this.#watches.clear();
  }

  /** Reads the next record only when the last one has been sent, so that records do not pile up. Never rejects. */
  async #follow(id: string, watch: AbortController): Promise<void> {
    try {
      for await (const task of this.#tasks.watch(id, watch.signal)) await this.#subscriber.task(task);
    } catch (error) {
      await this.#subscriber.error(error, id);
    } finally {
      if (this.#watches.get(id) === watch) this.#watches.delete(id);
    }
  }
}
