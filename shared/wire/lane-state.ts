import { invalid } from '../errors.ts';
import type { FrameKind } from './frame.ts';

/** `a` sends jobs, `b` runs them. */
export type LaneSide = 'a' | 'b';
export type LaneState = 'greeting' | 'idle' | 'offered' | 'receiving' | 'working' | 'closed';

/** A row of the table below: a state, or `greeted`, which is `greeting` after HELLO. */
type Row = LaneState | 'greeted';

/** The frames that each side may send in each state; docs/protocol.md, "States". BEAT is legal in all of them. */
const SENDABLE: Readonly<Record<Row, Readonly<Record<LaneSide, readonly FrameKind[]>>>> = {
  greeting: { a: ['HELLO'], b: ['REFUSE'] },
  greeted: { a: [], b: ['WELCOME', 'REFUSE'] },
  idle: { a: ['JOB'], b: ['WELCOME'] },
  offered: { a: ['CANCEL'], b: ['GO', 'REFUSE', 'FAIL'] },
  receiving: { a: ['DATA', 'CANCEL'], b: ['FAIL'] },
  working: { a: ['CANCEL'], b: ['OUTPUT', 'DATA', 'DONE', 'FAIL'] },
  closed: { a: [], b: [] },
};

/** More frames that a side may receive, because they crossed one of its own frames on the wire. */
const CROSSED: Readonly<Record<LaneSide, Readonly<Partial<Record<Row, readonly FrameKind[]>>>>> = {
  a: { offered: ['WELCOME'] },
  b: { idle: ['CANCEL', 'DATA'] },
};

/** The facts about a frame that the state needs: the length of a job's or output's body in bytes. */
export interface FrameFacts {
  readonly bytes?: number;
}

/**
 * One side's view of a lane: which frames it may send and receive now. It does no input or output, so that every row
 * and every crossing can be tested.
 */
export class LaneStateMachine {
  readonly #side: LaneSide;
  #state: LaneState = 'greeting';
  /** True after HELLO, which may be sent only once. */
  #greeted = false;
  /** Body bytes of the offered job. */
  #offered = 0;
  /** Bytes still to come of the job's body (receiving) or of the current output (working). */
  #left = 0;
  /** Bytes of a failed job's body that A may have sent already. */
  #stray = 0;

  constructor(side: LaneSide) {
    this.#side = side;
  }

  get state(): LaneState {
    return this.#state;
  }

  /** Bytes still to come of the current body or output. */
  get left(): number {
    return this.#left;
  }

  /** Throws BAD_REQUEST when this side may not send such a frame now. */
  checkSend(kind: FrameKind, length: number): void {
    if (kind === 'BEAT') return;
    this.#check(kind, length, SENDABLE[this.#row][this.#side]);
  }

  /** Throws BAD_REQUEST when the other side cannot have sent such a frame. */
  checkReceive(kind: FrameKind, length: number): void {
    if (kind === 'BEAT') return;
    const other = this.#side === 'a' ? 'b' : 'a';
    this.#check(kind, length, [...SENDABLE[this.#row][other], ...(CROSSED[this.#side][this.#row] ?? [])]);
  }

  /** Applies a control frame that was sent or received. */
  control(kind: Exclude<FrameKind, 'DATA'>, facts: FrameFacts = {}): void {
    switch (kind) {
      case 'HELLO':
        this.#greeted = true;
        return;
      case 'WELCOME':
        if (this.#state === 'greeting') this.#state = 'idle';
        return;
      case 'REFUSE':
        this.#state = this.#state === 'greeting' ? 'closed' : 'idle';
        return;
      case 'JOB':
        this.#state = 'offered';
        this.#offered = facts.bytes ?? 0;
        this.#stray = 0;
        return;
      case 'GO':
        this.#state = 'receiving';
        this.#left = this.#offered;
        return;
      case 'OUTPUT':
        this.#left = facts.bytes ?? 0;
        return;
      case 'FAIL':
        this.#stray = this.#state === 'receiving' ? this.#left : 0;
        this.#end();
        return;
      case 'DONE':
        this.#end();
        return;
      case 'CANCEL':
      case 'BEAT':
        return;
    }
  }

  /** Applies bytes of DATA that were sent or received; false when they belong to a job that has already failed. */
  data(bytes: number): boolean {
    if (this.#state === 'idle') {
      this.#stray -= bytes;
      return false;
    }
    this.#left -= bytes;
    if (this.#state === 'receiving' && this.#left === 0) this.#state = 'working';
    return true;
  }

  get #row(): Row {
    return this.#state === 'greeting' && this.#greeted ? 'greeted' : this.#state;
  }

  #end(): void {
    this.#state = 'idle';
    this.#left = 0;
  }

  #check(kind: FrameKind, length: number, allowed: readonly FrameKind[]): void {
    if (!allowed.includes(kind)) {
      throw invalid(`one of ${['BEAT', ...allowed].join(', ')}`, `a frame while ${this.#state}`, kind);
    }
    const most = this.#state === 'idle' ? this.#stray : this.#left;
    if (kind === 'DATA' && length > most) throw invalid(`at most ${most} bytes`, `DATA while ${this.#state}`, length);
    if ((kind === 'OUTPUT' || kind === 'DONE') && this.#left > 0) {
      throw invalid(`${this.#left} more bytes of DATA`, 'the output under way', kind);
    }
  }
}
