import { setTimeout as sleep } from 'node:timers/promises';
import type { XPublisher } from 'zeromq';
import type { Logger } from '../../../shared/log.ts';
import type { Task } from '../../../shared/task.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { FreshSubscriptions, HOLD_MS } from './fresh-subscriptions.ts';
import { publicationOf } from './publication.ts';
import { Sender } from './sender.ts';

/** The subscriber of the endings of tasks for listed URLs, by its name in the outbox. */
export const AUDIENCE = 'zeromq';
/** First byte of a subscription message (ZeroMQ RFC 29, "Publish-Subscribe"). */
const SUBSCRIBE = 1;

export interface PublisherOptions {
  readonly tasks: Pick<Tasks, 'endings' | 'acknowledge'>;
  readonly socket: XPublisher;
  readonly log: Logger;
}

/**
 * Publishes a message for every listed URL whose task has ended, then acknowledges it: at-least-once across restarts,
 * once per process. The first results of a list are held until its client has subscribed.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #sender: Sender;
  readonly #subscriptions = new FreshSubscriptions();
  readonly #stop = new AbortController();
  /** Lists that are being stored, whose task ids are not known yet. */
  readonly #storing = new Set<Promise<unknown>>();
  /** Ended tasks of lists whose results are held, by task id: one array for each list. */
  readonly #held = new Map<string, Task[]>();
  readonly #publishing = new Set<Promise<void>>();
  readonly #loops: Promise<unknown>;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#sender = new Sender(options.socket);
    this.#loops = Promise.all(
      [this.#readSubscriptions(), this.#readEndings()].map((loop) => loop.catch((error) => this.#failed(error))),
    );
  }

  /**
   * Stores a list with `store`, and holds its results until its client has subscribed. Returns what `store` returns.
   */
  async announce(store: () => Promise<readonly Task[]>): Promise<readonly Task[]> {
    const subscribed = this.#subscriptions.await();
    const storing = store();
    const held = storing.then(
      (tasks) => this.#hold(tasks, subscribed),
      () => undefined,
    );
    this.#storing.add(held);
    await held;
    this.#storing.delete(held);
    return storing;
  }

  /** Stops publishing. Unacknowledged endings are published after the next start. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#held.clear();
    this.#subscriptions.close();
    await Promise.all(this.#publishing);
    this.#options.socket.close();
    await this.#loops;
  }

  #hold(tasks: readonly Task[], subscribed: Promise<void>): void {
    const ended: Task[] = [];
    for (const { task_id } of tasks) this.#held.set(task_id, ended);
    // `subscribed` never rejects.
    void subscribed.then(() => {
      if (this.#stop.signal.aborted) return;
      for (const { task_id } of tasks) this.#held.delete(task_id);
      for (const task of ended) this.#publish(task);
    });
  }

  async #readSubscriptions(): Promise<void> {
    for await (const [message] of this.#options.socket) {
      if (message?.[0] === SUBSCRIBE) this.#subscriptions.arrived();
    }
  }

  async #readEndings(): Promise<void> {
    const { signal } = this.#stop;
    // Clients that wait for results from before a restart need time to connect again.
    await sleep(HOLD_MS, undefined, { signal });
    for await (const task of this.#options.tasks.endings(AUDIENCE, signal)) {
      await Promise.all(this.#storing);
      const held = this.#held.get(task.task_id);
      if (held === undefined) this.#publish(task);
      else held.push(task);
    }
  }

  #publish(task: Task): void {
    const publishing = this.#send(task)
      .catch((error: unknown) => {
        this.#options.log.error(
          { err: error, task_id: task.task_id },
          'a result could not be published; it is published after the next start',
        );
      })
      .finally(() => this.#publishing.delete(publishing));
    this.#publishing.add(publishing);
  }

  async #send(task: Task): Promise<void> {
    await this.#sender.send(JSON.stringify(publicationOf(task)));
    await this.#options.tasks.acknowledge(task.task_id);
  }

  #failed(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#options.log.fatal({ err: error }, 'ZeroMQ stopped publishing results');
  }
}
