import { createServer, type Socket } from 'node:net';
import type { Logger } from '../../../shared/log.ts';
import { type Listening, type ListenOptions, listenOn } from '../listen.ts';

const SOCKET_OPTIONS = { noDelay: true };

/** What serves gRPC on connections. */
export interface GrpcConnections {
  /** Serves a new connection. */
  add(socket: Socket): void;
  /** Sends GOAWAY to clients, and ends the calls that wait. */
  close(): void;
}

/**
 * The listening ports. They are not bound by grpc-js, which does not limit connections, reports a failure to listen without
 * its code, and cannot destroy connections without channelz.
 */
export class Listener {
  readonly #open: () => Promise<GrpcConnections>;
  readonly #log: Logger;
  readonly #sockets = new Set<Socket>();
  #listening: Listening | null = null;
  /** Null until the first connection. */
  #connections: Promise<GrpcConnections> | null = null;

  private constructor(open: () => Promise<GrpcConnections>, log: Logger) {
    this.#open = open;
    this.#log = log;
  }

  /**
   * `open` is called at the first connection, which waits for it. Throws the system's error, with its code and port, when
   * the address is not available.
   */
  static async listen(
    open: () => Promise<GrpcConnections>,
    options: Omit<ListenOptions, 'socketOptions'>,
  ): Promise<Listener> {
    const listener = new Listener(open, options.log);
    const server = createServer(SOCKET_OPTIONS, (socket) => listener.#accept(socket));
    listener.#listening = await listenOn(server, { ...options, socketOptions: SOCKET_OPTIONS });
    return listener;
  }

  /** `127.0.0.1:50051` and `[::1]:50051`. */
  get addresses(): readonly string[] {
    return this.#listening?.addresses ?? [];
  }

  /** Stops accepting, sends GOAWAY to clients, and destroys the connections still open after `graceMs` milliseconds. */
  async close(graceMs: number): Promise<void> {
    const closed = this.#listening?.close();
    const grace = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    (await this.#connections?.catch(() => null))?.close();
    await closed;
    clearTimeout(grace);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // Until it is served, nothing else listens for its error; 'close' follows.
    socket.on('error', () => {});
    this.#connections ??= this.#open();
    this.#connections.then(
      (connections) => {
        if (!socket.destroyed) connections.add(socket);
      },
      (error: unknown) => {
        this.#log.error({ err: error }, 'gRPC cannot be served');
        socket.destroy();
      },
    );
  }
}
