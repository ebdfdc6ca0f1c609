import type { MessageLike, Writable } from 'zeromq';

/**
 * Sends one message after the other: a socket that may wait refuses a second one (EBUSY) while it is busy with the first,
 * and every few hundred it is busy for a turn of the event loop.
 */
export class Sender {
  readonly #socket: Writable;
  #last: Promise<void> = Promise.resolve();

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  /** Resolves when the socket has the message. Rejects when it is closed. */
  send(message: MessageLike | MessageLike[]): Promise<void> {
    const sent = this.#last.then(() => this.#socket.send(message));
    this.#last = sent.catch(() => undefined);
    return sent;
  }
}
