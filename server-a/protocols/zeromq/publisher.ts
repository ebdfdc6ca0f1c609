import { setTimeout as sleep } from 'node:timers/promises';
import type { XPublisher } from 'zeromq';
import type { Logger } from '../../../shared/log.ts';
import type { Task } from '../../../shared/task.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { FreshSubscriptions, HOLD_MS } from './fresh-subscriptions.ts';
import { publicationOf } from './publication.ts';
import { Sender } from './sender.ts';

/** Who is told of each listed URL's end. */
export const AUDIENCE = 'zeromq';
/** First byte of a message that subscribes (ZeroMQ RFC 29, "Publish-Subscribe"). */
const SUBSCRIBE = 1;

export interface PublisherOptions {
  readonly tasks: Pick<Tasks, 'endings' | 'acknowledge'>;
  readonly socket: XPublisher;
  readonly log: Logger;
}

/**
 * Publishes the end of every listed URL, once, and acknowledges it. The first results of a list wait until whoever sent it
 * can hear them.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #sender: Sender;
  readonly #subscriptions = new FreshSubscriptions();
  readonly #stop = new AbortController();
  /** Lists whose ids are not known yet. */
  readonly #coming = new Set<Promise<unknown>>();
  /** Ends that are kept back, by the ids of the lists that wait. */
  readonly #held = new Map<string, Task[]>();
  readonly #publishing = new Set<Promise<void>>();
  readonly #loops: Promise<unknown>;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#sender = new Sender(options.socket);
    this.#loops = Promise.all([this.#hear(), this.#follow()].map((loop) => loop.catch((error) => this.#failed(error))));
  }

  /** Stores a list by `store`, keeping back its results until they can be heard. Gives what `store` gives. */
  async announce(store: () => Promise<readonly Task[]>): Promise<readonly Task[]> {
    const heard = this.#subscriptions.await();
    const storing = store();
    const coming = storing.then(
      (tasks) => this.#hold(tasks, heard),
      () => undefined,
    );
    this.#coming.add(coming);
    await coming;
    this.#coming.delete(coming);
    return storing;
  }

  /** Publishes nothing more; what is owed is published when the service starts again. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#held.clear();
    this.#subscriptions.close();
    await Promise.all(this.#publishing);
    this.#options.socket.close();
    await this.#loops;
  }

  #hold(tasks: readonly Task[], heard: Promise<void>): void {
    const ends: Task[] = [];
    for (const { task_id } of tasks) this.#held.set(task_id, ends);
    // FreshSubscriptions.await never rejects.
    void heard.then(() => {
      if (this.#stop.signal.aborted) return;
      for (const { task_id } of tasks) this.#held.delete(task_id);
      for (const task of ends) this.#publish(task);
    });
  }

  /** Hears of subscriptions until the socket closes. */
  async #hear(): Promise<void> {
    for await (const [message] of this.#options.socket) {
      if (message?.[0] === SUBSCRIBE) this.#subscriptions.arrived();
    }
  }

  /** Those who wait for results of before connect again first. */
  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    await sleep(HOLD_MS, undefined, { signal });
    for await (const task of this.#options.tasks.endings(AUDIENCE, signal)) {
      await Promise.all(this.#coming);
      const held = this.#held.get(task.task_id);
      if (held === undefined) this.#publish(task);
      else held.push(task);
    }
  }

  #publish(task: Task): void {
    const publishing = this.#tell(task)
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, task_id: task.task_id }, 'an end is told again after the next start');
      })
      .finally(() => this.#publishing.delete(publishing));
    this.#publishing.add(publishing);
  }

  async #tell(task: Task): Promise<void> {
    await this.#sender.send(JSON.stringify(publicationOf(task)));
    await this.#options.tasks.acknowledge(task.task_id);
  }

  #failed(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#options.log.fatal({ err: error }, 'results are not published any more');
  }
}
