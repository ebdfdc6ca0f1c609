import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type Koa from 'koa';
import { type ListenOptions, listenOn } from '../listen.ts';
import { Connections } from './connections.ts';
import { CLOSING, type HttpSettings, type HttpState } from './http-context.ts';

/** Milliseconds for a request's head; only an attack needs longer. */
const HEADERS_MS = 20_000;
/** The longest time between two checks for requests that take too long, in milliseconds; each wakes an idle process. */
const CHECK_MS = 5_000;
/** Checks while a request may take its time. */
const CHECKS = 10;
/** Milliseconds of silence before a TCP keep-alive probe. */
const KEEPALIVE_MS = 60_000;
/** Milliseconds without a byte in either direction: twice the longest wait for a task that a client may ask for. */
const IDLE_MS = 120_000;
/** Options of every connection; without `allowHalfOpen` a client could not end its side before the answer. */
const SOCKET_OPTIONS = {
  allowHalfOpen: true,
  noDelay: true,
  // Detects a dead client while a request waits for its task.
  keepAlive: true,
  keepAliveInitialDelay: KEEPALIVE_MS,
};

/** A listening HTTP server. */
export interface HttpServer {
  /** The first of the addresses. */
  readonly address: string;
  /** Such as `http://127.0.0.1:5454` and `http://[::1]:5454`. */
  readonly addresses: readonly string[];
  /** For connections that are upgraded from HTTP. */
  readonly server: Server;
  /** Stops accepting, closes idle connections, and destroys those still busy after `graceMs` milliseconds. */
  close(graceMs: number): Promise<void>;
}

export interface ServeOptions extends Pick<ListenOptions, 'ips' | 'ports' | 'log'> {
  readonly settings: HttpSettings;
}

/** Serves the application on every address. Throws the system's error, with code and port, when the address is not available. */
export async function listen(app: Koa<HttpState>, { ips, ports, settings, log }: ServeOptions): Promise<HttpServer> {
  const requestTimeout = settings.requestSeconds * 1000;
  const server = createServer({
    requestTimeout,
    headersTimeout: Math.min(HEADERS_MS, requestTimeout),
    connectionsCheckingInterval: Math.min(CHECK_MS, requestTimeout / CHECKS),
    requireHostHeader: false,
    ...SOCKET_OPTIONS,
  });
  server.timeout = IDLE_MS;
  const connections = new Connections(server);
  const handle = app.callback();
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request.socket, response);
    return handle(request, response);
  };
  // With a `checkContinue` listener, the upload answers `Expect: 100-continue` itself, when it wants the body. Any
  // other expectation is ignored, which RFC 9110, section 10.1.1, allows; Node would refuse it without a body.
  server.on('request', serve).on('checkContinue', serve).on('checkExpectation', serve);
  const { maxConnections } = settings;
  const listening = await listenOn(server, { ips, ports, maxConnections, socketOptions: SOCKET_OPTIONS, log });
  // The `%` of a zone is escaped in URLs (RFC 6874).
  const addresses = listening.addresses.map((address) => `http://${address.replace('%', '%25')}`);
  return {
    address: addresses[0] ?? '',
    addresses,
    server,
    close: (graceMs) => {
      app.emit(CLOSING);
      return connections.close(() => listening.close(), graceMs);
    },
  };
}
