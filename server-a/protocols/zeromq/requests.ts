import { setTimeout as sleep } from 'node:timers/promises';
import type { Router } from 'zeromq';
import { DarkroomError, describeError, systemCode } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { type Incoming, openEnvelope } from './envelope.ts';
import { type Request, readRequest } from './request.ts';
import { RequestQueue } from './request-queue.ts';
import { Sender } from './sender.ts';

/** Milliseconds for which an answer waits for room in its connection, and until the first and later looks. */
const PATIENCE_MS = 5000;
const FIRST_LOOK_MS = 10;
const LATER_LOOK_MS = 250;

/** What answers one request; the answer is a JSON value, or its bytes. */
export type Answerer = (request: Request) => Promise<object>;

export interface RequestsOptions {
  readonly socket: Router;
  readonly answer: Answerer;
  /** Bytes that all requests in hand may hold together. */
  readonly maxBytes: number;
  readonly log: Logger;
}

/** Answers what comes on the socket. Whatever comes, the socket stays open for the next. */
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
    this.#loop = this.#hear();
  }

  /** Refuses what comes from now on, and resolves when the rest has been answered. */
  async drain(): Promise<void> {
    this.#isClosing = true;
    await this.#queue.idle();
  }

  /** Closes the socket. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#options.socket.close();
    await this.#loop;
  }

  async #hear(): Promise<void> {
    try {
      for await (const frames of this.#options.socket) this.#take(frames);
    } catch (error) {
      if (!this.#isClosing) this.#options.log.fatal({ err: error }, 'requests are not heard any more');
    }
  }

  #take(frames: readonly Buffer[]): void {
    const incoming = openEnvelope(frames);
    if (incoming === null) {
      this.#options.log.debug({ frames: frames.length }, 'a message without an envelope is dropped');
      return;
    }
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    try {
      if (this.#isClosing)
        throw new DarkroomError('DRAINING', 'Expected a server that takes requests, received one that is stopping');
      this.#queue.add(incoming.client, bytes, () => this.#answer(incoming));
    } catch (error) {
      void this.#send(incoming, this.#refusal(error), 0);
    }
  }

  async #answer(incoming: Incoming): Promise<void> {
    await this.#send(incoming, await this.#answerTo(incoming.body), PATIENCE_MS);
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
    if (code === 'INTERNAL') this.#options.log.error({ err: error }, 'a request failed inside');
    return { status: 'error', message };
  }

  /**
   * Sends an answer, or gives it up after some milliseconds in which the client has not read those before it, when it is
   * gone, or when the service stops. Until then the request is in hand, and nobody else waits for that. Never rejects.
   */
  async #send({ envelope }: Incoming, answer: object, patience: number): Promise<void> {
    const message = [...envelope, answer instanceof Uint8Array ? answer : JSON.stringify(answer)];
    for (let waited = 0, look = FIRST_LOOK_MS; ; waited += look, look = Math.min(2 * look, LATER_LOOK_MS)) {
      try {
        return await this.#sender.send(message);
      } catch (error) {
        if (systemCode(error) !== 'EAGAIN' || waited >= patience || this.#isClosing) {
          return this.#options.log.debug({ err: error }, 'an answer was not sent');
        }
      }
      await sleep(look);
    }
  }
}
