import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { DarkroomError } from '../shared/errors.ts';
import { LaneServer, type LaneServerContext } from './lane-server.ts';

/** Connections beyond the slots: room for a second Server A and for lanes that are being replaced. */
const SPARE_CONNECTIONS = 64;

/** Where Server B listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Accepts lanes on a TCP port and keeps the set of the open ones. */
export class Listener {
  readonly #server: Server;
  readonly #lanes = new Set<LaneServer>();
  #isDraining = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens. Throws the system's error, with its code and port, when the address is not available. */
  static async open(
    address: ListenAddress,
    slots: number,
    context: Omit<LaneServerContext, 'closed' | 'isDraining'>,
  ): Promise<Listener> {
    const server = createServer();
    const listener = new Listener(server);
    server.maxConnections = slots + SPARE_CONNECTIONS;
    server.on('connection', (socket) => listener.#accept(socket, context));
    server.listen(address.port, address.host);
    await once(server, 'listening');
    server.on('error', (error) => context.log.error({ err: error }, 'the TCP server of Server B failed'));
    return listener;
  }

  /** The address in use; for port 0, the port that the system chose. */
  get address(): ListenAddress {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') {
      throw new DarkroomError('INTERNAL', 'The listener is closed.');
    }
    return { host: address.address, port: address.port };
  }

  /** Number of lanes that have a job. */
  get busyLanes(): number {
    return [...this.#lanes].filter((lane) => lane.busy).length;
  }

  /** Sends WELCOME again on every lane. */
  announce(): void {
    for (const lane of this.#lanes) lane.announce();
  }

  /** Accepts no new lane and refuses new jobs with DRAINING; running jobs go on. */
  drain(): void {
    this.#isDraining = true;
    this.#server.close();
  }

  /** Ends every lane. */
  close(): void {
    this.drain();
    for (const lane of this.#lanes) lane.end();
  }

  #accept(socket: Socket, context: Omit<LaneServerContext, 'closed' | 'isDraining'>): void {
    const lane = new LaneServer(socket, {
      ...context,
      isDraining: () => this.#isDraining,
      closed: (closedLane) => this.#lanes.delete(closedLane),
    });
    this.#lanes.add(lane);
  }
}
