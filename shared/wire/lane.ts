import type { Socket } from 'node:net';
import type { z } from 'zod';
import { AlignedInterval } from '../aligned.ts';
import { type Clock, SYSTEM_CLOCK } from '../clock.ts';
import { DarkroomError } from '../errors.ts';
import { FrameDecoder } from './decoder.ts';
import {
  encodeHeader,
  encodeMessage,
  type FrameKind,
  MAX_DATA_BYTES,
  type MessageKind,
  type SignalKind,
} from './frame.ts';
import { type LaneSide, type LaneState, LaneStateMachine } from './lane-state.ts';
import { LaneTrace } from './lane-trace.ts';
import { MESSAGE_SCHEMAS, type Message, parseMessage } from './messages.ts';

/** One handler for each frame kind, with the kind's name. A handler that throws closes the lane with that error. */
export type LaneHandlers = {
  readonly [Kind in MessageKind]?: (message: Message<Kind>) => void;
} & {
  readonly [Kind in Exclude<SignalKind, 'BEAT'>]?: () => void;
} & {
  /** Some bytes of the current body or output: a view of the socket's chunk, which the handler may keep. */
  readonly DATA?: (piece: Buffer) => void;
  /** Called once, when the lane is closed; null when nothing went wrong. */
  readonly closed: (error: Error | null) => void;
};

/** How often a side that sends nothing else sends BEAT, and how long the peer may be silent, in milliseconds. */
export interface LaneTiming {
  readonly beatMs: number;
  readonly deadMs: number;
}

export const LANE_TIMING: LaneTiming = { beatMs: 2000, deadMs: 6000 };
/** The clock ticks this many times per beat; silence is counted in ticks, so a stalled event loop counts once. */
const TICKS_PER_BEAT = 2;

/** The message of a frame without one: GO, CANCEL, BEAT, DATA. */
const NO_MESSAGE = {};

/** Owns one TCP connection: frames in and out, the state, the heartbeat. */
export class Lane {
  readonly #socket: Socket;
  readonly #machine: LaneStateMachine;
  readonly #trace: LaneTrace;
  readonly #decoder: FrameDecoder;
  readonly #handlers: LaneHandlers;
  readonly #deliver: { readonly [Kind in MessageKind]: (payload: Buffer) => void };
  readonly #timing: LaneTiming;
  readonly #ticks: AlignedInterval;
  #ticksSinceSent = 0;
  #ticksSinceHeard = 0;
  #closed = false;

  constructor(
    socket: Socket,
    side: LaneSide,
    handlers: LaneHandlers,
    timing: LaneTiming = LANE_TIMING,
    clock: Clock = SYSTEM_CLOCK,
  ) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#deliver = this.#deliverers(handlers);
    this.#timing = timing;
    this.#machine = new LaneStateMachine(side);
    this.#trace = new LaneTrace(socket, side);
    this.#decoder = new FrameDecoder({
      admit: (kind, length) => this.#machine.checkReceive(kind, length),
      control: (kind, payload) => this.#dispatch(kind, payload),
      data: (piece) => {
        if (this.#moveByData('received', piece.length) && !this.#closed) this.#handlers.DATA?.(piece);
      },
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.close(error));
    socket.on('end', () => this.close(null));
    socket.on('close', () => this.close(null));
    this.#ticks = new AlignedInterval(clock, timing.beatMs / TICKS_PER_BEAT, () => this.#tick());
  }

  get state(): LaneState {
    return this.#machine.state;
  }

  /** Bytes still to come of the current body or output. */
  get left(): number {
    return this.#machine.left;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends a control frame. Throws BAD_REQUEST when the state does not allow it; does nothing on a closed lane. */
  send<Kind extends MessageKind>(kind: Kind, message: Message<Kind>): void {
    if (this.#closed) return;
    const frame = encodeMessage(kind, message);
    this.#machine.checkSend(kind, frame.length);
    this.#move('sent', kind, message);
    this.#write(frame);
  }

  /** Sends a frame without payload, under the same rules as `send`. */
  signal(kind: SignalKind): void {
    if (this.#closed) return;
    this.#machine.checkSend(kind, 0);
    this.#move('sent', kind, NO_MESSAGE);
    this.#write(encodeHeader(kind, 0));
  }

  /**
   * Sends bytes as DATA frames of at most 1 MiB, with backpressure: resolves when the system has taken them, so that the
   * memory may be used again. `isWanted` is called before each frame; when it returns false, sending stops at a frame border. Resolves at once on a closed
   * lane. Rejects with BAD_REQUEST when the state does not allow DATA, so `isWanted` must return false once the job has
   * ended.
   */
  async sendData(bytes: Uint8Array, isWanted: () => boolean = () => true): Promise<void> {
    for (let offset = 0; offset < bytes.length && !this.#closed && isWanted(); offset += MAX_DATA_BYTES) {
      const piece = bytes.subarray(offset, offset + MAX_DATA_BYTES);
      this.#machine.checkSend('DATA', piece.length);
      this.#moveByData('sent', piece.length);
      await this.#written(encodeHeader('DATA', piece.length), piece);
    }
  }

  /** Stops reading; TCP's flow control then stops the other side, and its silence does not count. */
  pause(): void {
    this.#trace.note(this.#machine.state, 'stops reading');
    this.#socket.pause();
  }

  /** True while this side does not read. */
  get isPaused(): boolean {
    return this.#socket.isPaused();
  }

  resume(): void {
    this.#trace.note(this.#machine.state, 'reads again');
    this.#ticksSinceHeard = 0;
    this.#socket.resume();
  }

  /** Ends the connection after all sent bytes are flushed. Destroys it when the peer reads nothing for `deadMs`. */
  end(): void {
    if (this.#closed) return;
    this.#socket.setTimeout(this.#timing.deadMs, () => this.#socket.destroy());
    this.#socket.destroySoon();
    this.close(null);
  }

  /** Closes the lane and calls the `closed` handler with the reason. A second call does nothing. */
  close(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#trace.note(this.#machine.state, error === null ? 'closed' : `closed: ${error.message}`);
    this.#ticks.stop();
    if (!this.#socket.writableEnded) this.#socket.destroy();
    this.#handlers.closed(error);
  }

  #receive(chunk: Buffer): void {
    this.#ticksSinceHeard = 0;
    if (this.#closed) return;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.close(error instanceof Error ? error : new DarkroomError('INTERNAL', String(error)));
    }
  }

  #dispatch(kind: Exclude<FrameKind, 'DATA'>, payload: Buffer): void {
    if (this.#closed || kind === 'BEAT') return;
    // This CANCEL has crossed the end of its job on the wire.
    if (kind === 'CANCEL' && this.#machine.state === 'idle') return;
    if (kind === 'GO' || kind === 'CANCEL') {
      this.#move('received', kind, NO_MESSAGE);
      this.#handlers[kind]?.();
      return;
    }
    this.#deliver[kind](payload);
  }

  /** Parses, moves the state, calls the handler: one entry for each kind, so that each message keeps its own type. */
  #deliverers(handlers: LaneHandlers): { readonly [Kind in MessageKind]: (payload: Buffer) => void } {
    const deliver = <Schema extends z.ZodType<object>>(
      kind: MessageKind,
      schema: Schema,
      handler: ((message: z.output<Schema>) => void) | undefined,
    ) => {
      return (payload: Buffer) => {
        const message = parseMessage(kind, schema, payload);
        this.#move('received', kind, message);
        handler?.(message);
      };
    };
    return {
      HELLO: deliver('HELLO', MESSAGE_SCHEMAS.HELLO, handlers.HELLO),
      WELCOME: deliver('WELCOME', MESSAGE_SCHEMAS.WELCOME, handlers.WELCOME),
      JOB: deliver('JOB', MESSAGE_SCHEMAS.JOB, handlers.JOB),
      REFUSE: deliver('REFUSE', MESSAGE_SCHEMAS.REFUSE, handlers.REFUSE),
      OUTPUT: deliver('OUTPUT', MESSAGE_SCHEMAS.OUTPUT, handlers.OUTPUT),
      DONE: deliver('DONE', MESSAGE_SCHEMAS.DONE, handlers.DONE),
      FAIL: deliver('FAIL', MESSAGE_SCHEMAS.FAIL, handlers.FAIL),
    };
  }

  #move(direction: 'sent' | 'received', kind: Exclude<FrameKind, 'DATA'>, message: object): void {
    const before = this.#machine.state;
    this.#machine.control(kind, bodyOf(message));
    this.#trace.frame(direction, kind, message, before, this.#machine.state);
  }

  /** False for bytes of a job that has already failed. */
  #moveByData(direction: 'sent' | 'received', bytes: number): boolean {
    const before = this.#machine.state;
    const isWanted = this.#machine.data(bytes);
    const after = this.#machine.state;
    if (after !== before) this.#trace.frame(direction, 'DATA', NO_MESSAGE, before, after);
    return isWanted;
  }

  #write(bytes: Buffer): void {
    this.#ticksSinceSent = 0;
    this.#socket.write(bytes);
  }

  /** Resolves also when the socket fails: its error closes the lane. */
  #written(header: Buffer, piece: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.cork();
      this.#write(header);
      this.#socket.write(piece, () => resolve());
      this.#socket.uncork();
    });
  }

  #tick(): void {
    this.#ticksSinceSent += 1;
    if (this.#ticksSinceSent >= TICKS_PER_BEAT && !this.#socket.writableNeedDrain) this.signal('BEAT');
    if (this.#socket.isPaused()) return;
    this.#ticksSinceHeard += 1;
    // After a stall of this process the peer's bytes wait to be read. Immediates run when the event loop has read them.
    if (this.#isPeerSilent) setImmediate(() => this.#closeSilent());
  }

  get #isPeerSilent(): boolean {
    return (this.#ticksSinceHeard * this.#timing.beatMs) / TICKS_PER_BEAT > this.#timing.deadMs;
  }

  #closeSilent(): void {
    if (!this.#isPeerSilent || this.#socket.isPaused()) return;
    this.close(new DarkroomError('BACKEND_UNAVAILABLE', `The peer sent nothing for ${this.#timing.deadMs} ms.`));
  }
}

/** Length of the body that a message announces; 0 when it announces none. */
function bodyOf(message: object): { bytes: number } {
  return { bytes: 'bytes' in message && typeof message.bytes === 'number' ? message.bytes : 0 };
}
