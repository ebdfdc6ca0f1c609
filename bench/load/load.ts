import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ask, dismiss } from '../child.ts';
import { type LoadRequest, type Order, replySchema } from './messages.ts';

/** Where requests go, and which. */
export interface Traffic {
  /** Such as `http://127.0.0.1:5454`. */
  readonly origin: string;
  /** Sent in turn. */
  readonly requests: readonly LoadRequest[];
  /** How many are under way at any time. */
  readonly atOnce: number;
}

/** What became of the requests: how many were answered, and in how many seconds. */
export interface Sent {
  readonly count: number;
  readonly seconds: number;
}

/** A process that sends requests, one order at a time. */
export class Load {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(fileURLToPath(new URL('./load-process.js', import.meta.url)));
  }

  /** Sends `count` requests. Rejects when an answer is not the expected one. */
  run({ origin, requests, atOnce }: Traffic, count: number): Promise<Sent> {
    return this.#order({ kind: 'run', origin, requests: [...requests], atOnce, count });
  }

  /** Sends requests while `measure` runs; resolves with what that gives, and with the answered requests. */
  async during<Result>(traffic: Traffic, measure: () => Promise<Result>): Promise<{ result: Result; sent: Sent }> {
    const { origin, requests, atOnce } = traffic;
    const sending = this.#order({ kind: 'run', origin, requests: [...requests], atOnce, count: null });
    // Awaited below; until then its rejection would be unhandled.
    sending.catch(() => {});
    try {
      const result = await measure();
      return { result, sent: await this.#stop(sending) };
    } catch (error) {
      await this.#stop(sending).catch(() => {});
      throw error;
    }
  }

  /** Ends the process. */
  close(): Promise<void> {
    return dismiss(this.#child);
  }

  #stop(sending: Promise<Sent>): Promise<Sent> {
    const order: Order = { kind: 'stop' };
    this.#child.send(order);
    return sending;
  }

  async #order(order: Order): Promise<Sent> {
    const reply = replySchema.parse(await ask(this.#child, order));
    if (reply.kind === 'failed') throw new Error(reply.message);
    return reply;
  }
}
