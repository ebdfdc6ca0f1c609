import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { type ListenOptions, listenOn } from '../listen.ts';

export interface ListenerOptions extends ListenOptions {
  /** Connections open at once. */
  readonly maxConnections: number;
}

/**
 * The port, bound by us and not by grpc-js, which knows no bound on connections, tells a failure to listen only in words,
 * and without channelz cannot destroy the connections it has.
 */
export class Listener {
  readonly #grpc: GrpcServer;
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;
  /** `127.0.0.1:50051` or `[::1]:50051`. */
  readonly address: string;

  private constructor(grpc: GrpcServer, server: Server, sockets: ReadonlySet<Socket>, address: string) {
    this.#grpc = grpc;
    this.#server = server;
    this.#sockets = sockets;
    this.address = address;
  }

  /** Serves on the address. Throws the system's error, with its code and port, when it cannot be had. */
  static async listen(grpc: GrpcServer, options: ListenerOptions): Promise<Listener> {
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const server = createServer({ noDelay: true });
    const sockets = new Set<Socket>();
    server.maxConnections = options.maxConnections;
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      injector.injectConnection(socket);
    });
    return new Listener(grpc, server, sockets, await listenOn(server, options));
  }

  /** Stops accepting, tells clients to go (GOAWAY), and destroys the connections that are left after the grace. */
  async close(graceMs: number): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#grpc.tryShutdown(() => undefined);
    const grace = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(grace);
  }
}
