import { WebSocket } from 'ws';
import { SYSTEM_CLOCK } from '../../../shared/clock.ts';
import { shuttingDown } from '../../../shared/errors.ts';
import { Watchdog } from '../../../shared/watchdog.ts';

/** Close codes (RFC 6455, section 7.4.1). */
export const CLOSE = { goingAway: 1001, unsupportedData: 1003 } as const;

export interface PeerOptions {
  /** Called for each text. */
  readonly onText: (text: string) => void;
  /** Called once, when the connection has closed. */
  readonly onClose: () => void;
  /** High-water mark of unread messages, in bytes; a client that exceeds it is disconnected. */
  readonly maxBufferedBytes: number;
  /** Milliseconds between two pings, which also keep proxies from closing a silent connection. */
  readonly pingMs: number;
  /** Close the connection if a ping is unanswered when the next is due. */
  readonly requirePong: boolean;
}

/** One WebSocket client. A binary message closes its connection with 1003. */
export class Peer {
  readonly #socket: WebSocket;
  readonly #maxBufferedBytes: number;
  readonly #heartbeat: Watchdog;
  #hasAnswered = true;
  /** The last text that is being sent. */
  #sending: Promise<void> = Promise.resolve();

  constructor(socket: WebSocket, options: PeerOptions) {
    this.#socket = socket;
    this.#maxBufferedBytes = options.maxBufferedBytes;
    this.#heartbeat = new Watchdog(SYSTEM_CLOCK, options.pingMs, () => this.#ping(options.requirePong));
    // After an invalid frame or a broken connection, ws itself closes with the right code.
    socket.on('error', () => undefined);
    socket.on('pong', () => {
      this.#hasAnswered = true;
    });
    socket.on('message', (data, isBinary) => {
      // ws still delivers messages that arrive after `close` was called.
      if (socket.readyState !== WebSocket.OPEN) return;
      if (isBinary) socket.close(CLOSE.unsupportedData, 'Expected text, received binary');
      else options.onText(String(data));
    });
    socket.once('close', () => {
      this.#heartbeat.stop();
      options.onClose();
    });
  }

  /** Sends a text, unless the connection is closing. Resolves when it was sent or can no longer be. Never rejects. */
  send(text: string): Promise<void> {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.resolve();
    if (this.#socket.bufferedAmount + Buffer.byteLength(text) > this.#maxBufferedBytes) {
      this.#socket.terminate();
      return Promise.resolve();
    }
    // An error also closes the connection, so the `close` event reports it.
    this.#sending = new Promise((resolve) => this.#socket.send(text, () => resolve()));
    return this.#sending;
  }

  /** Closes with 1001, and disconnects a client that does not answer within `graceMs` milliseconds. */
  close(graceMs: number): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => {
      const cut = setTimeout(() => this.#socket.terminate(), graceMs);
      this.#socket.once('close', () => {
        clearTimeout(cut);
        resolve();
      });
      this.#socket.close(CLOSE.goingAway, shuttingDown().message);
    });
  }

  /**
   * Ends the connection without a close frame, after the texts before it, or after `graceMs` milliseconds. To a client
   * that reads texts only, a close frame looks like an empty text, and the end of the connection like an error.
   */
  async disconnect(graceMs: number): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    const cut = setTimeout(() => this.#socket.terminate(), graceMs);
    await this.#sending;
    clearTimeout(cut);
    this.#socket.terminate();
    await closed;
  }

  #ping(requirePong: boolean): void {
    if (requirePong && !this.#hasAnswered) {
      this.#socket.terminate();
      return;
    }
    this.#hasAnswered = false;
    this.#socket.ping();
    this.#heartbeat.feed();
  }
}
