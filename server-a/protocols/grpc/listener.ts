import { createServer, type Socket } from 'node:net';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { type Listening, type ListenOptions, listenOn } from '../listen.ts';

const SOCKET_OPTIONS = { noDelay: true };

/**
 * The listening ports. They are not bound by grpc-js, which does not limit connections, reports a failure to listen without
 * its code, and cannot destroy connections without channelz.
 */
export class Listener {
  readonly #grpc: GrpcServer;
  readonly #listening: Listening;
  readonly #sockets: ReadonlySet<Socket>;
  private constructor(grpc: GrpcServer, listening: Listening, sockets: ReadonlySet<Socket>) {
    this.#grpc = grpc;
    this.#listening = listening;
    this.#sockets = sockets;
  }

  /** `127.0.0.1:50051` and `[::1]:50051`. */
  get addresses(): readonly string[] {
    return this.#listening.addresses;
  }

  /** Throws the system's error, with its code and port, when the address is not available. */
  static async listen(grpc: GrpcServer, options: Omit<ListenOptions, 'socketOptions'>): Promise<Listener> {
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const server = createServer(SOCKET_OPTIONS);
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      injector.injectConnection(socket);
    });
    const listening = await listenOn(server, { ...options, socketOptions: SOCKET_OPTIONS });
    return new Listener(grpc, listening, sockets);
  }

  /** Stops accepting, sends GOAWAY to clients, and destroys the connections still open after `graceMs` milliseconds. */
  async close(graceMs: number): Promise<void> {
    const closed = this.#listening.close();
    this.#grpc.tryShutdown(() => undefined);
    const grace = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(grace);
  }
}
