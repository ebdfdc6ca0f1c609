import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import type { FrameKind } from '../../shared/wire/frame.ts';
import { LANE_TIMING, Lane, type LaneHandlers, type LaneTiming } from '../../shared/wire/lane.ts';
import type { LaneSide } from '../../shared/wire/lane-state.ts';

/** Handlers that a test adds to the recording; without `closed`. */
export type ExtraHandlers = Omit<LaneHandlers, 'closed'>;

/** A lane that records what it receives, so that a test can wait for it and check it. */
export class RecordingLane {
  readonly lane: Lane;
  /** Every message and signal, in order, and 'closed'; DATA is in `pieces`. */
  readonly heard: { readonly kind: Exclude<FrameKind, 'DATA'> | 'closed'; readonly value: unknown }[] = [];
  readonly pieces: Buffer[] = [];
  readonly #changes = new EventEmitter();

  constructor(socket: Socket, side: LaneSide, extra: ExtraHandlers = {}, timing: LaneTiming = LANE_TIMING) {
    const note = <Value>(kind: Exclude<FrameKind, 'DATA'>, then: ((value: Value) => void) | undefined) => {
      return (value: Value) => {
        this.#hear(kind, value);
        then?.(value);
      };
    };
    const handlers: LaneHandlers = {
      HELLO: note('HELLO', extra.HELLO),
      WELCOME: note('WELCOME', extra.WELCOME),
      JOB: note('JOB', extra.JOB),
      REFUSE: note('REFUSE', extra.REFUSE),
      OUTPUT: note('OUTPUT', extra.OUTPUT),
      DONE: note('DONE', extra.DONE),
      FAIL: note('FAIL', extra.FAIL),
      GO: () => {
        this.#hear('GO', null);
        extra.GO?.();
      },
      CANCEL: () => {
        this.#hear('CANCEL', null);
        extra.CANCEL?.();
      },
      DATA: (piece) => {
        this.pieces.push(piece);
        this.#changes.emit('change');
        extra.DATA?.(piece);
      },
      closed: (error) => this.#hear('closed', error),
    };
    this.lane = new Lane(socket, side, handlers, timing);
  }

  /** The kinds received so far, in order. */
  get kinds(): string[] {
    return this.heard.map((one) => one.kind);
  }

  /** The message of the last frame of this kind; undefined when none came. */
  last(kind: string): unknown {
    return this.heard.findLast((one) => one.kind === kind)?.value;
  }

  /** All bytes of DATA received so far. */
  get data(): Buffer {
    return Buffer.concat(this.pieces);
  }

  /** Resolves when `times` frames of this kind have been received; mocha's timeout limits the waiting. */
  async hears(kind: string, times = 1): Promise<void> {
    await this.until(() => this.kinds.filter((one) => one === kind).length >= times);
  }

  /** Resolves when the condition is true; it is checked after each frame. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#changes, 'change');
  }

  #hear(kind: Exclude<FrameKind, 'DATA'> | 'closed', value: unknown): void {
    this.heard.push({ kind, value });
    this.#changes.emit('change');
  }
}
