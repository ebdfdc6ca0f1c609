import { setTimeout as sleep } from 'node:timers/promises';
import type { Router } from 'zeromq';
import { describeError, shuttingDown, systemCode } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { type Incoming, openEnvelope } from './envelope.ts';
import { type Request, readRequest } from './request.ts';
import { RequestQueue } from './request-queue.ts';
import { Sender } from './sender.ts';

/** Milliseconds that an answer may wait for a client that does not read, and milliseconds between two tries. */
const SEND_MS = 5000;
const MIN_PAUSE_MS = 10;
const MAX_PAUSE_MS = 250;

/** Answers one request; the answer is a JSON value, or its bytes. */
export type Answerer = (request: Request) => Promise<object>;

export interface RequestsOptions {
  readonly socket: Router;
  readonly answer: Answerer;
  /** Bytes that all requests in progress may have together. */
  readonly maxBytes: number;
  readonly log: Logger;
}

/** Answers the socket's requests. No request can close the socket or block it for others. */
export class Requests {
  readonly #options: RequestsOptions;
  readonly #sender: Sender;
  readonly #queue: RequestQueue;
  readonly #loop: Promise<void>;
  #isClosing = false;

  constructor(options: RequestsOptions) {
    this.#options = options;
    this.#sender = new Sender(options.socket);
    this.#queue = new RequestQueue(options.maxBytes);
    this.#loop = this.#read();
  }

  /** Refuses new requests, and resolves when those in progress have been answered. */
  async drain(): Promise<void> {
    this.#isClosing = true;
    await this.#queue.idle();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#options.socket.close();
    await this.#loop;
  }

  async #read(): Promise<void> {
    try {
      for await (const frames of this.#options.socket) this.#accept(frames);
    } catch (error) {
      if (!this.#isClosing) this.#options.log.fatal({ err: error }, 'ZeroMQ stopped reading requests');
    }
  }

  #accept(frames: readonly Buffer[]): void {
    const incoming = openEnvelope(frames);
    if (incoming === null) {
      this.#options.log.debug({ frames: frames.length }, 'dropped a ZeroMQ message without an envelope');
      return;
    }
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    try {
      if (this.#isClosing) throw shuttingDown();
      this.#queue.add(incoming.client, bytes, () => this.#answer(incoming));
    } catch (error) {
      void this.#send(incoming, this.#refusal(error), 0);
    }
  }

  async #answer(incoming: Incoming): Promise<void> {
    await this.#send(incoming, await this.#answerTo(incoming.body), SEND_MS);
  }

  async #answerTo(body: readonly Buffer[]): Promise<object> {
    try {
      return await this.#options.answer(readRequest(body));
    } catch (error) {
      return this.#refusal(error);
    }
  }

  #refusal(error: unknown): object {
    const { code, message } = describeError(error);
    if (code === 'INTERNAL') this.#options.log.error({ err: error }, 'a ZeroMQ request failed unexpectedly');
    return { status: 'error', message };
  }

  /**
   * Sends an answer. Drops it when the client has disconnected, when the server closes, or when the client has not read
   * earlier answers for `maxMs` milliseconds. Until then only this client's next request waits. Never rejects.
   */
  async #send({ envelope }: Incoming, answer: object, maxMs: number): Promise<void> {
    const message = [...envelope, answer instanceof Uint8Array ? answer : JSON.stringify(answer)];
    for (let waited = 0, pause = MIN_PAUSE_MS; ; waited += pause, pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      try {
        return await this.#sender.send(message);
      } catch (error) {
        if (systemCode(error) !== 'EAGAIN' || waited >= maxMs || this.#isClosing) {
          return this.#options.log.debug({ err: error }, 'dropped the answer to a ZeroMQ request');
        }
      }
      await sleep(pause);
    }
  }
}
