import { DarkroomError } from '../../shared/errors.ts';
import { FRAME_NUMBERS, type FrameKind } from '../../shared/wire/frame.ts';
import { type LaneSide, type LaneState, LaneStateMachine } from '../../shared/wire/lane-state.ts';

interface SentFrame {
  readonly kind: FrameKind;
  /** Bytes of DATA, or the length of the body that a JOB or an OUTPUT announces. */
  readonly bytes: number;
}

const KINDS = Object.keys(FRAME_NUMBERS).filter((text): text is FrameKind => Object.hasOwn(FRAME_NUMBERS, text));
/** `sendAny` chooses these oftener, so that many jobs get to a good end. */
const FORWARD: readonly FrameKind[] = ['JOB', 'GO', 'DATA', 'DONE'];
const ENDS: readonly FrameKind[] = ['REFUSE', 'FAIL', 'DONE'];

/** The two sides of a lane, joined by two queues that stand for the wire: what is under way can cross. */
export class JoinedMachines {
  readonly #machines = { a: new LaneStateMachine('a'), b: new LaneStateMachine('b') };
  /** Frames under way, by the side that sent them. */
  readonly #underWay: Record<LaneSide, SentFrame[]> = { a: [], b: [] };
  /** Jobs that a offered, ends that a has received, and those among them that were DONE. */
  jobs = 0;
  ends = 0;
  done = 0;
  /** Bytes of DATA sent; received, those of failed jobs included; and of these what was thrown away. */
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

  /** What a and b think is left of the body or output under way, in bytes. */
  get lefts(): readonly [number, number] {
    return [this.#machines.a.left, this.#machines.b.left];
  }

  /** Sends a frame; throws what the sender's machine throws when it may not. */
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

  /** Gives the next frame that `sender` sent to the other side; throws what that machine throws. A closed side is deaf. */
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

  /** Gives everything under way to its receiver. */
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
