import { DarkroomError } from '../../../shared/errors.ts';
import type { Task } from '../../../shared/task.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { MAX_SUBSCRIPTIONS } from './event-messages.ts';

/** Where a subscriber is told of tasks; what they return resolves when the client may be told more. */
export interface Subscriber {
  task(task: Task): Promise<void>;
  error(error: unknown, id: string): Promise<void>;
}

/** The tasks one client watches: each from its subscription to its end, or the client's. */
export class Subscriptions {
  readonly #tasks: Pick<Tasks, 'watch'>;
  readonly #subscriber: Subscriber;
  readonly #watches = new Map<string, AbortController>();

  constructor(tasks: Pick<Tasks, 'watch'>, subscriber: Subscriber) {
    this.#tasks = tasks;
    this.#subscriber = subscriber;
  }

  /** Tasks watched now. */
  get size(): number {
    return this.#watches.size;
  }

  /** Tells the record now and at each change. An id that is watched already starts anew, with the record now. */
  subscribe(id: string): void {
    this.unsubscribe(id);
    if (this.#watches.size >= MAX_SUBSCRIPTIONS) {
      const message = `Expected at most ${MAX_SUBSCRIPTIONS} tasks watched at once, received one more`;
      void this.#subscriber.error(new DarkroomError('RATE_LIMITED', message), id);
      return;
    }
    const watch = new AbortController();
    this.#watches.set(id, watch);
    void this.#follow(id, watch);
  }

  /** Tells no more of the task. */
  unsubscribe(id: string): void {
    this.#watches.get(id)?.abort();
    this.#watches.delete(id);
  }

  /** Ends every watch. */
  close(): void {
    for (const watch of this.#watches.values()) watch.abort();
    this.#watches.clear();
  }

  /** The client sets the pace: the next record is taken when the last one has left. Never rejects. */
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
