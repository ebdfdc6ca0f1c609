import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';

/**
 * The port, bound by us and not by grpc-js, which knows no bound on connections, tells a failure to listen only in words,
 * and without channelz cannot destroy the connections it has.
 */
export class Listener {
  readonly #grpc: GrpcServer;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(grpc: GrpcServer, server: Server) {
    this.#grpc = grpc;
    this.#server = server;
  }

  /** Serves on the address. Throws the system's error, with its code and port, when it cannot be had. */
  static async listen(grpc: GrpcServer, ip: string, port: number, maxConnections: number): Promise<Listener> {
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const server = createServer({ noDelay: true });
    const listener = new Listener(grpc, server);
    server.maxConnections = maxConnections;
    server.on('connection', (socket) => {
      listener.#sockets.add(socket);
      socket.once('close', () => listener.#sockets.delete(socket));
      injector.injectConnection(socket);
    });
    server.listen(port, ip);
    await once(server, 'listening');
    return listener;
  }

  /** `127.0.0.1:50051` or `[::1]:50051`. */
  get address(): string {
    const { address, family, port } = addressOf(this.#server);
    return `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Stops accepting, tells clients to go (GOAWAY), and destroys the connections that are left after the grace. */
  async close(graceMilliseconds: number): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#grpc.tryShutdown(() => undefined);
    const grace = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMilliseconds);
    await closed;
    clearTimeout(grace);
  }
}

function addressOf(server: Server): AddressInfo {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError(`Expected a TCP address, received ${bound}`);
  return bound;
}
