import { WebSocket } from 'ws';

/** Why a connection ends (RFC 6455, section 7.4.1). */
export const CLOSE = { goingAway: 1001, unsupportedData: 1003 } as const;

/** What a client sends, and what becomes of it when it sends or reads nothing. */
export interface PeerOptions {
  /** A text came in. */
  readonly onText: (text: string) => void;
  /** The connection is gone; told once. */
  readonly onClose: () => void;
  /** Bytes that may wait for a client to read them; beyond that it is cut off. */
  readonly maxBufferedBytes: number;
  /** Milliseconds between two pings: whoever sits between knows by them that the connection is in use. */
  readonly pingMs: number;
  /** Whether who has not answered a ping by the next is gone. */
  readonly mustAnswer: boolean;
}

/** One WebSocket client. Texts only: a binary message ends the connection with 1003. */
export class Peer {
  readonly #socket: WebSocket;
  readonly #maxBufferedBytes: number;
  #isAlive = true;

  constructor(socket: WebSocket, options: PeerOptions) {
    this.#socket = socket;
    this.#maxBufferedBytes = options.maxBufferedBytes;
    const heartbeat = setInterval(() => this.#beat(options.mustAnswer), options.pingMs);
    // A broken frame or connection: ws closes it, with the code that belongs to it.
    socket.on('error', () => undefined);
    socket.on('pong', () => {
      this.#isAlive = true;
    });
    socket.on('message', (data, isBinary) => {
      // What was under way when the closing began is not read any more.
      if (socket.readyState !== WebSocket.OPEN) return;
      if (isBinary) socket.close(CLOSE.unsupportedData, 'Expected text, received binary');
      else options.onText(String(data));
    });
    socket.once('close', () => {
      clearInterval(heartbeat);
      options.onClose();
    });
  }

  /** Sends a text, unless the connection is ending; resolves when it has left for the client, or never will. */
  send(text: string): Promise<void> {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.resolve();
    if (this.#socket.bufferedAmount + Buffer.byteLength(text) > this.#maxBufferedBytes) {
      this.#socket.terminate();
      return Promise.resolve();
    }
    // What went wrong, the connection's end tells.
    return new Promise((resolve) => this.#socket.send(text, () => resolve()));
  }

  /** Says goodbye, and cuts the connection where that is not answered within `graceMs` milliseconds. */
  close(graceMs: number): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => {
      const cut = setTimeout(() => this.#socket.terminate(), graceMs);
      this.#socket.once('close', () => {
        clearTimeout(cut);
        resolve();
      });
      this.#socket.close(CLOSE.goingAway, 'The server stops');
    });
  }

  #beat(mustAnswer: boolean): void {
    if (mustAnswer && !this.#isAlive) {
      this.#socket.terminate();
      return;
    }
    this.#isAlive = false;
    this.#socket.ping();
  }
}
