import { connect } from 'node:net';
import type { ImageHeader } from '../../shared/image-header.ts';
import { PROTOCOL_VERSION } from '../../shared/wire/frame.ts';
import { Lane, type LaneTiming } from '../../shared/wire/lane.ts';
import type { Message } from '../../shared/wire/messages.ts';

/** A frame that a lane received, or its end. */
export type Seen =
  | { kind: 'WELCOME'; message: Message<'WELCOME'> }
  | { kind: 'GO' }
  | { kind: 'REFUSE'; message: Message<'REFUSE'> }
  | { kind: 'OUTPUT'; message: Message<'OUTPUT'> }
  | { kind: 'DATA'; bytes: number }
  | { kind: 'DONE'; message: Message<'DONE'> }
  | { kind: 'FAIL'; message: Message<'FAIL'> }
  | { kind: 'closed'; error: Error | null };

/** A Server A that a test controls, with the real codec. It records every frame that it receives. */
export class WireClient {
  readonly lane: Lane;
  readonly seen: Seen[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(address: { host: string; port: number }, timing?: LaneTiming) {
    const see = (one: Seen) => {
      this.seen.push(one);
      for (const look of this.#waiting) look();
    };
    this.lane = new Lane(
      connect(address.port, address.host),
      'a',
      {
        WELCOME: (message) => see({ kind: 'WELCOME', message }),
        GO: () => see({ kind: 'GO' }),
        REFUSE: (message) => see({ kind: 'REFUSE', message }),
        OUTPUT: (message) => see({ kind: 'OUTPUT', message }),
        DATA: (piece) => see({ kind: 'DATA', bytes: piece.length }),
        DONE: (message) => see({ kind: 'DONE', message }),
        FAIL: (message) => see({ kind: 'FAIL', message }),
        closed: (error) => see({ kind: 'closed', error }),
      },
      timing,
    );
  }

  /** Connects and greets. */
  static async greeted(address: { host: string; port: number }, token = ''): Promise<WireClient> {
    const client = new WireClient(address);
    client.lane.send('HELLO', { protocol: PROTOCOL_VERSION, token });
    await client.next('WELCOME');
    return client;
  }

  /** Resolves with the next frame of this kind, and removes it and all frames before it from the record. */
  next<Kind extends Seen['kind']>(kind: Kind): Promise<Extract<Seen, { kind: Kind }>> {
    return new Promise((resolve) => {
      const look = () => {
        const index = this.seen.findIndex((one) => one.kind === kind);
        const [found] = index < 0 ? [] : this.seen.splice(0, index + 1).slice(-1);
        if (found === undefined || !isKind(found, kind)) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  close(): void {
    this.lane.close(null);
  }
}

function isKind<Kind extends Seen['kind']>(one: Seen, kind: Kind): one is Extract<Seen, { kind: Kind }> {
  return one.kind === kind;
}

/** The header of a small JPEG. */
export const SMALL_HEADER: ImageHeader = {
  format: 'jpeg',
  width: 40,
  height: 30,
  frames: 1,
  channels: 3,
  depth: 8,
  alpha: false,
  progressive: false,
  orientation: 1,
};

let jobNumber = 0;

/** A JOB for a body of 5 bytes; tests replace the fields that they need. */
export function jobMessage(overrides: Partial<Message<'JOB'>> = {}): Message<'JOB'> {
  jobNumber += 1;
  return {
    id: `job-${jobNumber}`.padEnd(21, '_'),
    attempt: 1,
    outputs: [{ name: 'resize', operation: 'resize', scale_factor: 0.5 }],
    bytes: 5,
    image: SMALL_HEADER,
    deadline_ms: 5000,
    alone: false,
    ...overrides,
  };
}
