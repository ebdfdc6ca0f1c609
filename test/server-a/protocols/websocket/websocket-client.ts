import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import WebSocket, { type ClientOptions } from 'ws';

/** A WebSocket client that keeps the texts that it receives. */
export class WebSocketClient {
  readonly socket: WebSocket;
  readonly #inbox: string[] = [];
  #wake: () => void = () => undefined;
  /** Code and reason of the close frame. */
  readonly closed: Promise<{ code: number; reason: string }>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      this.#inbox.push(String(data));
      this.#wake();
    });
    this.closed = once(socket, 'close').then(([code, reason]) => {
      this.#wake();
      return { code: Number(code), reason: String(reason) };
    });
  }

  static async open(url: string, options: ClientOptions = {}): Promise<WebSocketClient> {
    const client = new WebSocketClient(new WebSocket(url, options));
    await once(client.socket, 'open');
    return client;
  }

  send(message: string | object): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next text, in order. Rejects when the connection has closed. */
  async next(): Promise<string> {
    for (;;) {
      const first = this.#inbox.shift();
      if (first !== undefined) return first;
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error('Expected a text, the connection has ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** All unread texts. A ping and its pong come first, so that no text is still in transit. */
  async rest(): Promise<readonly string[]> {
    this.socket.ping();
    await once(this.socket, 'pong');
    return this.#inbox;
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}

/** The answer to a refused handshake. */
export interface Refusal {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly problem: Record<string, unknown>;
}

/** Tries a handshake that should be refused, and returns the answer. */
export async function refusalOf(url: string, options: ClientOptions = {}): Promise<Refusal> {
  const socket = new WebSocket(url, options);
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      socket.terminate();
      reject(new Error(`Expected ${url} to be refused`));
    });
    socket.once('error', reject);
    socket.once('unexpected-response', (_request, response) => {
      text(response).then((body) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, problem: JSON.parse(body) });
      }, reject);
    });
  });
}
