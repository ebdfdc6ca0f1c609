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

/** Takes lanes on a TCP port and keeps the set of them. */
export class Listener {
  readonly #server: Server;
  readonly #lanes = new Set<LaneServer>();
  #isDraining = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens. Throws the system's error, with its code and port, when the address cannot be had. */
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
    server.on('error', (error) => context.log.error({ err: error }, 'listener'));
    return listener;
  }

  /** The address in use; with port 0 asked for, the port that was given. */
  get address(): ListenAddress {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') {
      throw new DarkroomError('INTERNAL', `Expected a TCP address of the listener, received ${address}`);
    }
    return { host: address.address, port: address.port };
  }

  /** Lanes with a job under way. */
  get busyLanes(): number {
    return [...this.#lanes].filter((lane) => lane.busy).length;
  }

  /** Tells every lane anew what is offered. */
  announce(): void {
    for (const lane of this.#lanes) lane.announce();
  }

  /** Takes no new lane and refuses new jobs with DRAINING; what is under way goes on. */
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
      closed: (gone) => this.#lanes.delete(gone),
    });
    this.#lanes.add(lane);
  }
}
