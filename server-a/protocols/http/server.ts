import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type Koa from 'koa';
import type { Logger } from '../../../shared/log.ts';
import { listenOn } from '../listen.ts';
import { Connections } from './connections.ts';
import { CLOSING, type HttpSettings, type HttpState } from './http-context.ts';

/** Milliseconds for a request's head: a person's network is slower than that only when somebody wants it to be. */
const HEADERS_MS = 20_000;
/** Milliseconds between looks for requests that take too long. */
const CHECK_MS = 1_000;
/** Milliseconds of silence after which the system looks whether a peer is still there. */
const KEEPALIVE_MS = 60_000;
/** Milliseconds without a byte in either direction, twice the longest a client may ask to wait for a task. */
const SILENCE_MS = 120_000;

/** A listening HTTP server. */
export interface HttpServer {
  /** Such as `http://127.0.0.1:5454` or `http://[::1]:5454`. */
  readonly address: string;
  /** For what shares the port: connections upgraded from HTTP. */
  readonly server: Server;
  /** Stops accepting, closes idle connections, gives the others `graceMs` to finish, then destroys them. */
  close(graceMs: number): Promise<void>;
}

export interface ServeOptions {
  readonly ip: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly settings: HttpSettings;
  readonly log: Logger;
}

/** Serves the application. Throws the system's error, with its code and port, when the address cannot be had. */
export async function listen(app: Koa<HttpState>, { ip, port, settings, log }: ServeOptions): Promise<HttpServer> {
  const requestTimeout = settings.requestSeconds * 1000;
  const server = createServer({
    requestTimeout,
    headersTimeout: Math.min(HEADERS_MS, requestTimeout),
    connectionsCheckingInterval: CHECK_MS,
    requireHostHeader: false,
    // Finds a peer that has vanished while its answer is waited for in silence.
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MS,
  });
  server.maxConnections = settings.maxConnections;
  server.timeout = SILENCE_MS;
  const connections = new Connections(server);
  const handle = app.callback();
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request.socket, response);
    return handle(request, response);
  };
  // With a listener of its own, `Expect: 100-continue` is answered by the upload, once it wants the body. Any other
  // expectation is overlooked, as RFC 9110, section 10.1.1, allows; Node would refuse it with an empty answer.
  server.on('request', serve).on('checkContinue', serve).on('checkExpectation', serve);
  const address = await listenOn(server, { ip, port, log });
  return {
    address: `http://${address}`,
    server,
    close: (graceMs) => {
      app.emit(CLOSING);
      return connections.close(graceMs);
    },
  };
}
