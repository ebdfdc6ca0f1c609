import { createServer, type Server, type Socket } from 'node:net';
import { FORMATS } from '../../shared/operations/format.ts';
import { OPERATION_NAMES } from '../../shared/operations/index.ts';
import { PROTOCOL_VERSION } from '../../shared/wire/frame.ts';
import { LANE_TIMING, Lane, type LaneHandlers, type LaneTiming } from '../../shared/wire/lane.ts';
import type { Message } from '../../shared/wire/messages.ts';

/** The handlers of one lane of the fake; they may hang, cut the connection and send wrong frames. */
export type Behaviour = (lane: FakeLane) => Omit<LaneHandlers, 'closed'>;

/** A lane of the fake, with the parts that a test needs to misbehave. */
export interface FakeLane {
  readonly wire: Lane;
  readonly socket: Socket;
  /** Number of the lane, from 0. */
  readonly number: number;
}

/** A WELCOME; tests replace the fields that they need. */
export function welcome(overrides: Partial<Message<'WELCOME'>> = {}): Message<'WELCOME'> {
  return {
    protocol: PROTOCOL_VERSION,
    instance: 'first-life',
    slots: 1,
    operations: [...OPERATION_NAMES],
    formats: [...FORMATS],
    model: null,
    ...overrides,
  };
}

/** A fake Server B on loopback. It uses the real codec, and a test gives its handlers. */
export class FakeServerB {
  readonly #server: Server;
  readonly #lanes = new Set<FakeLane>();
  readonly #listeners = new Set<() => void>();
  readonly #behaviour: Behaviour;
  readonly #timing: LaneTiming;
  #opened = 0;
  readonly jobs: Message<'JOB'>[] = [];

  private constructor(behaviour: Behaviour, timing: LaneTiming) {
    this.#behaviour = behaviour;
    this.#timing = timing;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async open(behaviour: Behaviour, timing = LANE_TIMING): Promise<FakeServerB> {
    const fake = new FakeServerB(behaviour, timing);
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get address(): { host: string; port: number } {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the fake does not listen');
    return { host: address.address, port: address.port };
  }

  /** Lanes open now. */
  get lanes(): readonly FakeLane[] {
    return [...this.#lanes];
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Resets every connection, as when the process is killed. */
  cut(): void {
    for (const { socket } of this.#lanes) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const { wire } of this.#lanes) wire.close(null);
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    const behaviour = this.#behaviour;
    const number = this.#opened++;
    let handlers: Omit<LaneHandlers, 'closed'> = {};
    const hands: LaneHandlers = {
      HELLO: (message) => handlers.HELLO?.(message),
      JOB: (message) => {
        this.jobs.push(message);
        handlers.JOB?.(message);
      },
      DATA: (piece) => handlers.DATA?.(piece),
      CANCEL: () => handlers.CANCEL?.(),
      closed: () => this.#lanes.delete(lane),
    };
    const wire = new Lane(socket, 'b', hands, this.#timing);
    const lane: FakeLane = { wire, socket, number };
    this.#lanes.add(lane);
    handlers = behaviour(lane);
  }
}
