import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { type ListenOptions, listenOn } from '../listen.ts';

export interface ListenerOptions extends ListenOptions {
  /** Open connections. */
  readonly maxConnections: number;
}

/**
 * The listening port. It is not bound by grpc-js, which does not limit connections, reports a failure to listen without
 * its code, and cannot destroy connections without channelz.
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

  /** Throws the system's error, with its code and port, when the address is not available. */
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

  /** Stops accepting, sends GOAWAY to clients, and destroys the connections still open after `graceMs` milliseconds. */
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
