import type { Socket } from 'node:net';
import { debuglog } from 'node:util';
import type { FrameKind } from './frame.ts';
import type { LaneSide, LaneState } from './lane-state.ts';

const log = debuglog('darkroom-lane');

/** Fields of messages that are shown. A HELLO's token is not among them. */
const SHOWN = new Set(['id', 'attempt', 'name', 'code', 'instance']);

/**
 * Writes a line to standard error for each state change of one lane when NODE_DEBUG contains `darkroom-lane`; otherwise it
 * does nothing. A lane is named by its side and the port of side A, which both sides know.
 */
export class LaneTrace {
  readonly #socket: Socket;
  readonly #side: LaneSide;
  /** Kept, because a closed socket no longer knows it. */
  #port: number | undefined;

  constructor(socket: Socket, side: LaneSide) {
    this.#socket = socket;
    this.#side = side;
  }

  /** A control frame has been sent or received, and has changed the state from `before` to `after`. */
  frame(direction: 'sent' | 'received', kind: FrameKind, message: object, before: LaneState, after: LaneState): void {
    if (!log.enabled || kind === 'BEAT') return;
    const fields = Object.entries(message).filter(([key]) => SHOWN.has(key));
    const words = [direction, kind, ...fields.map(([, value]) => value)];
    this.note(before, before === after ? words.join(' ') : `${words.join(' ')} -> ${after}`);
  }

  /** Something else has happened while the lane was in the state given. */
  note(state: LaneState, event: string): void {
    if (!log.enabled) return;
    this.#port ??= this.#side === 'a' ? this.#socket.localPort : this.#socket.remotePort;
    log('%s:%s %s: %s', this.#side, this.#port ?? 'connecting', state, event);
  }
}
