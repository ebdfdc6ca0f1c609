import type { Socket } from 'node:net';
import { PROTOCOL_VERSION } from '../../shared/wire/frame.ts';
import type { LaneTiming } from '../../shared/wire/lane.ts';
import type { Message } from '../../shared/wire/messages.ts';
import { type ExtraHandlers, RecordingLane } from './recording-lane.ts';
import { openSocketPair } from './socket-pair.ts';

export const HELLO: Message<'HELLO'> = { protocol: PROTOCOL_VERSION, token: 'secret' };

export const WELCOME: Message<'WELCOME'> = {
  protocol: PROTOCOL_VERSION,
  instance: 'k3Jd',
  slots: 2,
  operations: ['resize'],
  formats: ['jpeg', 'png'],
  model: null,
};

/** A job whose body has `bytes` bytes. */
export function jobOf(bytes: number): Message<'JOB'> {
  return {
    id: 'V1StGXR8_Z5jdHi6B-myT',
    attempt: 1,
    outputs: [{ name: 'resize', operation: 'resize', scale_factor: 0.5 }],
    bytes,
    image: {
      format: 'jpeg',
      width: 640,
      height: 480,
      frames: 1,
      channels: 3,
      depth: 8,
      alpha: false,
      progressive: false,
      orientation: 1,
    },
    deadline_ms: 30_000,
    alone: false,
  };
}

/** The header of a picture of `bytes` bytes. */
export function pictureOf(bytes: number): Message<'OUTPUT'> {
  const size = { width: 320, height: 240, frames: 1 };
  return { kind: 'picture', name: 'resize', operation: 'resize', format: 'jpeg', ...size, bytes };
}

/** Both sides of one real connection. */
export class LanePair {
  readonly a: RecordingLane;
  readonly b: RecordingLane;
  /** The sockets of a and b. */
  readonly client: Socket;
  readonly server: Socket;

  private constructor(client: Socket, server: Socket, a: RecordingLane, b: RecordingLane) {
    this.client = client;
    this.server = server;
    this.a = a;
    this.b = b;
  }

  static async open(
    extra: { readonly a?: ExtraHandlers; readonly b?: ExtraHandlers } = {},
    timing?: LaneTiming,
  ): Promise<LanePair> {
    const { client, server } = await openSocketPair();
    const a = new RecordingLane(client, 'a', extra.a, timing);
    const b = new RecordingLane(server, 'b', extra.b, timing);
    return new LanePair(client, server, a, b);
  }

  /** Sends HELLO and WELCOME: both sides are idle. */
  async greet(): Promise<void> {
    this.a.lane.send('HELLO', HELLO);
    await this.b.hears('HELLO');
    this.b.lane.send('WELCOME', WELCOME);
    await this.a.hears('WELCOME');
  }

  /** Sends JOB and GO: both sides go from idle to receiving. `nth` counts the jobs of this lane from 1. */
  async begin(bytes: number, nth = 1): Promise<void> {
    this.a.lane.send('JOB', jobOf(bytes));
    await this.b.hears('JOB', nth);
    this.b.lane.signal('GO');
    await this.a.hears('GO', nth);
  }

  close(): void {
    this.client.destroy();
    this.server.destroy();
  }
}
