import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { DarkroomError, systemCode } from '../../../shared/errors.ts';
import { refuseSocket } from '../problem.ts';

/** A server's open connections: what is not well-formed HTTP is refused here, and here they are all brought to an end. */
export class Connections {
  readonly #server: Server;
  /** The answer each connection is owed, null where it is idle. */
  readonly #owed = new Map<Duplex, ServerResponse | null>();
  readonly #refused = new WeakSet<Duplex>();
  #closing = false;

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      // It comes again when it has asked for an upgrade that is ignored.
      if (this.#owed.has(socket)) return;
      this.#owed.set(socket, null);
      socket.once('close', () => this.#owed.delete(socket));
    });
    server.on('clientError', (error, socket) => this.#refuse(error, socket));
    // Node hands CONNECT over as a bare socket, and closes it without a word when nobody listens.
    server.on('connect', (_request, socket) => this.#refuse(noTunnel(), socket));
  }

  /** A request has come in on the connection. */
  begin(socket: Duplex, response: ServerResponse): void {
    this.#owed.set(socket, response);
    if (this.#closing) response.setHeader('Connection', 'close');
    response.once('close', () => {
      if (this.#owed.get(socket) !== response) return;
      this.#owed.set(socket, null);
      if (this.#closing) socket.end();
    });
  }

  /** Stops accepting and ends idle connections; destroys those still busy after the grace, in milliseconds. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const [socket, response] of this.#owed) {
      if (response === null) socket.destroy();
    }
    const grace = setTimeout(() => {
      for (const socket of this.#owed.keys()) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(grace);
  }

  /** Answers what Node could not read as a request, where an answer can still be sent. */
  #refuse(error: Error, socket: Duplex): void {
    if (this.#refused.has(socket)) return;
    this.#refused.add(socket);
    if (!socket.writable || this.#owed.get(socket)?.headersSent || systemCode(error) === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    refuseSocket(socket, refusal(error));
  }
}

function noTunnel(): DarkroomError {
  return new DarkroomError('METHOD_NOT_ALLOWED', 'Expected a method for a resource, received CONNECT');
}

function refusal(error: Error): DarkroomError {
  if (error instanceof DarkroomError) return error;
  const code = systemCode(error);
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new DarkroomError('REQUEST_TIMEOUT', 'Expected the whole request in time, received only part of it');
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new DarkroomError('BAD_REQUEST', 'Expected a request head of at most 16 KiB, received a longer one');
  }
  return new DarkroomError('BAD_REQUEST', 'Expected a well-formed HTTP/1.1 request, received something else');
}
