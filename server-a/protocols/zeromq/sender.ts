import type { MessageLike, Writable } from 'zeromq';

/**
 * Sends one message after the other. A zeromq socket refuses a second `send` (EBUSY) until the first has resolved,
 * which takes a turn of the event loop every few hundred messages.
 */
export class Sender {
  readonly #socket: Writable;
  #last: Promise<void> = Promise.resolve();

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  /** Resolves when the socket has queued the message. Rejects when the socket is closed, or as its options say. */
  send(message: MessageLike | MessageLike[]): Promise<void> {
    const sent = this.#last.then(() => this.#socket.send(message));
    this.#last = sent.catch(() => undefined);
    return sent;
  }
}
