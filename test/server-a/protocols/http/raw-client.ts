import { connect, type Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Fixture, Place } from './http-fixture.ts';

/** A raw connection, for requests that no client library would send. */
export class RawClient {
  readonly socket: Socket;
  readonly #received: Buffer[] = [];
  /** True when the connection was reset. */
  error: Error | null = null;

  constructor({ host, port }: Place) {
    this.socket = connect(port, host);
    this.socket.on('data', (chunk) => this.#received.push(chunk));
    this.socket.on('error', (error) => {
      this.error = error;
    });
  }

  /** Writes; resolves when the system has the bytes, or the connection has failed. */
  write(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  get text(): string {
    return Buffer.concat(this.#received).toString('latin1');
  }

  /** Everything received so far, when `pattern` is in it. */
  async until(pattern: RegExp): Promise<string> {
    for (let look = 0; look < 500; look += 1) {
      if (pattern.test(this.text)) return this.text;
      await sleep(10);
    }
    throw new Error(`Expected ${pattern}, received ${JSON.stringify(this.text.slice(0, 500))}`);
  }

  /** Everything received by the end of the connection. */
  async closed(): Promise<string> {
    if (!this.socket.closed) await new Promise((resolve) => this.socket.once('close', resolve));
    return this.text;
  }
}

/** Posts a body to /upload in pieces of `size` bytes, each in its own write. Resolves with the answer's text. */
export async function requestPieces(fixture: Fixture, type: string, body: Uint8Array, size: number): Promise<string> {
  const client = new RawClient(fixture);
  client.socket.setNoDelay(true);
  const head = `POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n`;
  await client.write(`${head}Connection: close\r\n\r\n`);
  for (let offset = 0; offset < body.length; offset += size) {
    await client.write(body.subarray(offset, offset + size));
    await turn();
  }
  return client.closed();
}
