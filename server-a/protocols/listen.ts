import { once } from 'node:events';
import { createServer, type Server, type ServerOpts, type Socket } from 'node:net';
import { hostAndPort } from '../../shared/addresses.ts';
import { systemCode } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';

export interface ListenOptions {
  /** Addresses; the server listens on each port of each. */
  readonly ips: readonly string[];
  /** 0 picks a port that is free on every address. */
  readonly ports: readonly number[];
  /** Open connections, on all addresses together. */
  readonly maxConnections: number;
  /** Options of the connections. */
  readonly socketOptions?: Pick<ServerOpts, 'allowHalfOpen' | 'keepAlive' | 'keepAliveInitialDelay' | 'noDelay'>;
  readonly log: Logger;
}

/** A server that listens on several addresses. */
export interface Listening {
  /** Such as `127.0.0.1:5454` and `[::1]:5454`. */
  readonly addresses: readonly string[];
  /** Stops accepting; resolves when every connection has closed. */
  close(): Promise<void>;
}

/** Attempts to find a port that is free on every address. */
const ATTEMPTS = 20;

/**
 * Listens on every address. `server` itself listens on the first; the connections of the others are given to it. Throws
 * the system's error, with code and port, when an address is not available; then nothing listens. Later errors, such as
 * a connection that cannot be accepted, are logged, and the server goes on.
 */
export async function listenOn(server: Server, options: ListenOptions): Promise<Listening> {
  const { ips, ports, maxConnections, log } = options;
  const listeners = new Listeners(server, options);
  try {
    for (const port of ports) await (port === 0 ? listeners.openFree(ips) : listeners.open(ips, port));
  } catch (error) {
    await listeners.close();
    throw error;
  }
  listeners.limit(maxConnections);
  for (const one of listeners.servers) {
    one.on('error', (error) => log.error({ err: error }, 'Server A could not accept a connection'));
  }
  return { addresses: listeners.addresses, close: () => listeners.close() };
}

/** The servers of one {@link Listening}. */
class Listeners {
  readonly #first: Server;
  readonly #socketOptions: ServerOpts;
  /** The server that accepted a connection of the first. */
  readonly #acceptors = new WeakMap<Socket, Server>();
  #open: { readonly server: Server; readonly address: string }[] = [];

  constructor(first: Server, { socketOptions = {} }: ListenOptions) {
    this.#first = first;
    this.#socketOptions = socketOptions;
  }

  get servers(): readonly Server[] {
    return this.#open.map(({ server }) => server);
  }

  get addresses(): readonly string[] {
    return this.#open.map(({ address }) => address);
  }

  async open(ips: readonly string[], port: number): Promise<void> {
    for (const ip of ips) await this.#listen(ip, port);
  }

  /** Opens the same free port on every address. The system picks one that is free on the first. */
  async openFree(ips: readonly string[], attempt = 1): Promise<void> {
    const before = this.#open.length;
    const [first = '', ...others] = ips;
    const port = await this.#listen(first, 0);
    try {
      await this.open(others, port);
    } catch (error) {
      if (systemCode(error) !== 'EADDRINUSE' || attempt === ATTEMPTS) throw error;
      const taken = this.#open.splice(before);
      await Promise.all(taken.map(({ server }) => closed(server)));
      await this.openFree(ips, attempt + 1);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map(closed));
  }

  /** Bounds the connections of all servers together; Node bounds those of each. */
  limit(most: number): void {
    const counts = new Map(this.servers.map((server) => [server, 0]));
    const open = new Set<Socket>();
    const update = () => {
      for (const [server, count] of counts) {
        const free = most - open.size + count;
        // Node 20 takes 0 for no limit.
        server.maxConnections = free > 0 ? free : -1;
      }
    };
    const count = (server: Server, by: number) => counts.set(server, (counts.get(server) ?? 0) + by);
    update();
    this.#first.on('connection', (socket) => {
      // A connection whose upgrade is ignored is announced a second time.
      if (open.has(socket)) return;
      const server = this.#acceptors.get(socket) ?? this.#first;
      open.add(socket);
      count(server, 1);
      update();
      socket.once('close', () => {
        open.delete(socket);
        count(server, -1);
        update();
      });
    });
  }

  async #listen(ip: string, port: number): Promise<number> {
    const server = this.#open.length === 0 ? this.#first : this.#further();
    server.listen(port, ip);
    await once(server, 'listening');
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new TypeError(`Expected a TCP address, received ${bound}`);
    this.#open.push({ server, address: hostAndPort(ip, bound.port) });
    return bound.port;
  }

  #further(): Server {
    // A server takes connections that others have accepted (node:http, event `connection`).
    const server = createServer(this.#socketOptions, (socket) => {
      this.#acceptors.set(socket, server);
      this.#first.emit('connection', socket);
    });
    return server;
  }
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
