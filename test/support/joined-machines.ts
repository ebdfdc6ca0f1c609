import { DarkroomError } from '../../shared/errors.ts';
import { FRAME_NUMBERS, type FrameKind } from '../../shared/wire/frame.ts';
import { type LaneSide, type LaneState, LaneStateMachine } from '../../shared/wire/lane-state.ts';

interface SentFrame {
  readonly kind: FrameKind;
  /** Bytes of DATA, or the length of the body that a JOB or an OUTPUT announces. */
  readonly bytes: number;
}

const KINDS = Object.keys(FRAME_NUMBERS).filter((text): text is FrameKind => Object.hasOwn(FRAME_NUMBERS, text));
/** Kinds that `sendAny` chooses more often, so that many jobs end with DONE. */
const FORWARD: readonly FrameKind[] = ['JOB', 'GO', 'DATA', 'DONE'];
const ENDS: readonly FrameKind[] = ['REFUSE', 'FAIL', 'DONE'];

/** The two sides of a lane, joined by two queues instead of a connection, so that frames can cross. */
export class JoinedMachines {
  readonly #machines = { a: new LaneStateMachine('a'), b: new LaneStateMachine('b') };
  /** Frames on the wire, by the side that sent them. */
  readonly #underWay: Record<LaneSide, SentFrame[]> = { a: [], b: [] };
  /** Jobs that `a` offered, ends that it received, and how many of these were DONE. */
  jobs = 0;
  ends = 0;
  done = 0;
  /** Bytes of DATA: sent, received, and received for a failed job and dropped. */
  sent = 0;
  received = 0;
  thrownAway = 0;

  static welcomed(): JoinedMachines {
    const pair = new JoinedMachines();
    pair.send('a', 'HELLO');
    pair.deliverAll();
    pair.send('b', 'WELCOME');
    pair.deliverAll();
    return pair;
  }

  static offered(bytes: number): JoinedMachines {
    const pair = JoinedMachines.welcomed();
    pair.send('a', 'JOB', bytes);
    pair.deliverAll();
    return pair;
  }

  static receiving(bytes: number): JoinedMachines {
    const pair = JoinedMachines.offered(bytes);
    pair.send('b', 'GO');
    pair.deliverAll();
    return pair;
  }

  /** The states of a and b. */
  get states(): readonly [LaneState, LaneState] {
    return [this.#machines.a.state, this.#machines.b.state];
  }

  /** Remaining bytes of the current body or output, as `a` and `b` count them. */
  get lefts(): readonly [number, number] {
    return [this.#machines.a.left, this.#machines.b.left];
  }

  /** Sends a frame. Throws what the sender's machine throws when the frame is not allowed. */
  send(side: LaneSide, kind: FrameKind, bytes = 0): void {
    const machine = this.#machines[side];
    machine.checkSend(kind, bytes);
    if (kind === 'DATA') {
      machine.data(bytes);
      this.sent += bytes;
    } else machine.control(kind, { bytes });
    if (kind === 'JOB') this.jobs += 1;
    this.#underWay[side].push({ kind, bytes });
  }

  /** Sends one of the frames that are legal now, chosen by `pick`; DATA fits into what is left. */
  sendAny(side: LaneSide, pick: number, bytes: number): void {
    const fitting = Math.min(bytes, Math.max(1, this.#machines[side].left));
    const legal = KINDS.filter((kind) => this.#isLegal(side, kind, fitting));
    const weighted = legal.flatMap((kind) => (FORWARD.includes(kind) ? Array.from({ length: 8 }, () => kind) : kind));
    const kind = weighted[pick % weighted.length];
    if (kind !== undefined) this.send(side, kind, kind === 'DATA' ? fitting : bytes);
  }

  /** Delivers the next frame of `sender`. Throws what the receiver's machine throws. A closed side ignores frames. */
  deliver(sender: LaneSide): void {
    const frame = this.#underWay[sender].shift();
    const receiver = this.#machines[sender === 'a' ? 'b' : 'a'];
    if (frame === undefined || receiver.state === 'closed') return;
    receiver.checkReceive(frame.kind, frame.bytes);
    if (frame.kind === 'DATA') this.#receiveData(receiver, frame.bytes);
    else receiver.control(frame.kind, { bytes: frame.bytes });
    if (!ENDS.includes(frame.kind)) return;
    this.ends += 1;
    if (frame.kind === 'DONE') this.done += 1;
  }

  /** Delivers all frames on the wire. */
  deliverAll(): void {
    for (const sender of ['a', 'b'] as const) while (this.#underWay[sender].length > 0) this.deliver(sender);
  }

  #receiveData(receiver: LaneStateMachine, bytes: number): void {
    this.received += bytes;
    if (!receiver.data(bytes)) this.thrownAway += bytes;
  }

  #isLegal(side: LaneSide, kind: FrameKind, bytes: number): boolean {
    try {
      this.#machines[side].checkSend(kind, bytes);
      return true;
    } catch (error) {
      if (error instanceof DarkroomError && error.code === 'BAD_REQUEST') return false;
      throw error;
    }
  }
}
