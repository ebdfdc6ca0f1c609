import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { DarkroomError, systemCode } from '../../../shared/errors.ts';
import { refuseSocket } from '../problem.ts';

/** A server's open connections: refuses what Node cannot parse as a request, and closes them all at the end. */
export class Connections {
  /** The response in progress on each connection, null on an idle one. */
  readonly #responses = new Map<Duplex, ServerResponse | null>();
  readonly #refused = new WeakSet<Duplex>();
  #closing = false;

  constructor(server: Server) {
    server.on('connection', (socket) => {
      // A connection whose upgrade was ignored emits this event a second time.
      if (this.#responses.has(socket)) return;
      this.#responses.set(socket, null);
      socket.once('close', () => this.#responses.delete(socket));
    });
    server.on('clientError', (error, socket) => this.#refuse(error, socket));
    // For CONNECT, Node passes a bare socket to the listener; without a listener, Node closes it without an answer.
    server.on('connect', (_request, socket) => this.#refuse(noTunnel(), socket));
  }

  /** Records the response to a request that has just arrived. */
  begin(socket: Duplex, response: ServerResponse): void {
    this.#responses.set(socket, response);
    if (this.#closing) response.setHeader('Connection', 'close');
    response.once('close', () => {
      if (this.#responses.get(socket) !== response) return;
      this.#responses.set(socket, null);
      if (this.#closing) socket.end();
    });
  }

  /**
   * Stops accepting with `stop`, which resolves when all connections have closed, and closes idle connections; destroys
   * those still busy after `graceMs` milliseconds.
   */
  async close(stop: () => Promise<void>, graceMs: number): Promise<void> {
    this.#closing = true;
    const closed = stop();
    for (const [socket, response] of this.#responses) {
      if (response === null) socket.destroy();
    }
    const grace = setTimeout(() => {
      for (const socket of this.#responses.keys()) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(grace);
  }

  /** Answers with a problem, if the connection can still carry one, and closes the connection. */
  #refuse(error: Error, socket: Duplex): void {
    if (this.#refused.has(socket)) return;
    this.#refused.add(socket);
    if (!socket.writable || this.#responses.get(socket)?.headersSent || systemCode(error) === 'ECONNRESET') {
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
    return new DarkroomError('REQUEST_TIMEOUT', 'The request did not arrive in time.');
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new DarkroomError('BAD_REQUEST', 'Expected a request head of at most 16 KiB, received a longer one');
  }
  return new DarkroomError('BAD_REQUEST', 'Expected a well-formed HTTP/1.1 request, received something else');
}
