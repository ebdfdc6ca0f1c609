import { expect } from 'chai';
import fc from 'fast-check';
import { DarkroomError } from '../../../shared/errors.ts';
import { FRAME_NUMBERS, type FrameKind } from '../../../shared/wire/frame.ts';
import { type LaneSide, LaneStateMachine } from '../../../shared/wire/lane-state.ts';
import { JoinedMachines } from '../../support/joined-machines.ts';

type Step = readonly [kind: FrameKind, bytes?: number];

/**
 * The table in docs/protocol.md, "States": the steps to a state, the frames each side may send, the crossing frames.
 */
const ROWS = [
  {
    row: 'greeting, before HELLO',
    state: 'greeting',
    steps: [],
    send: { a: ['HELLO'], b: ['REFUSE'] },
    crossed: { a: [], b: [] },
  },
  {
    row: 'greeting, after HELLO',
    state: 'greeting',
    steps: [['HELLO']],
    send: { a: [], b: ['WELCOME', 'REFUSE'] },
    crossed: { a: [], b: [] },
  },
  {
    row: 'idle',
    state: 'idle',
    steps: [['HELLO'], ['WELCOME']],
    send: { a: ['JOB'], b: ['WELCOME'] },
    crossed: { a: [], b: ['CANCEL'] },
  },
  {
    row: 'idle after a job that failed while receiving',
    state: 'idle',
    steps: [['HELLO'], ['WELCOME'], ['JOB', 100], ['GO'], ['DATA', 40], ['FAIL']],
    send: { a: ['JOB'], b: ['WELCOME'] },
    crossed: { a: [], b: ['CANCEL', 'DATA'] },
  },
  {
    row: 'offered',
    state: 'offered',
    steps: [['HELLO'], ['WELCOME'], ['JOB', 100]],
    send: { a: ['CANCEL'], b: ['GO', 'REFUSE', 'FAIL'] },
    crossed: { a: ['WELCOME'], b: [] },
  },
  {
    row: 'receiving',
    state: 'receiving',
    steps: [['HELLO'], ['WELCOME'], ['JOB', 100], ['GO'], ['DATA', 40]],
    send: { a: ['DATA', 'CANCEL'], b: ['FAIL'] },
    crossed: { a: [], b: [] },
  },
  {
    row: 'working, between outputs',
    state: 'working',
    steps: [['HELLO'], ['WELCOME'], ['JOB', 100], ['GO'], ['DATA', 100], ['OUTPUT', 60], ['DATA', 60]],
    send: { a: ['CANCEL'], b: ['OUTPUT', 'DONE', 'FAIL'] },
    crossed: { a: [], b: [] },
  },
  {
    row: 'working, within an output',
    state: 'working',
    steps: [['HELLO'], ['WELCOME'], ['JOB', 100], ['GO'], ['DATA', 100], ['OUTPUT', 60], ['DATA', 20]],
    send: { a: ['CANCEL'], b: ['DATA', 'FAIL'] },
    crossed: { a: [], b: [] },
  },
  {
    row: 'closed, after a refused greeting',
    state: 'closed',
    steps: [['HELLO'], ['REFUSE']],
    send: { a: [], b: [] },
    crossed: { a: [], b: [] },
  },
] as const satisfies readonly {
  row: string;
  state: string;
  steps: readonly Step[];
  send: Record<LaneSide, readonly FrameKind[]>;
  crossed: Record<LaneSide, readonly FrameKind[]>;
}[];

const KINDS = Object.keys(FRAME_NUMBERS).filter((text): text is FrameKind => Object.hasOwn(FRAME_NUMBERS, text));

function machineAfter(side: LaneSide, steps: readonly Step[]): LaneStateMachine {
  const machine = new LaneStateMachine(side);
  for (const [kind, bytes = 0] of steps) {
    if (kind === 'DATA') machine.data(bytes);
    else machine.control(kind, { bytes });
  }
  return machine;
}

/** The kinds that the check accepts, each with a payload of one byte. Throws any error other than BAD_REQUEST. */
function passing(check: (kind: FrameKind, length: number) => void): FrameKind[] {
  return KINDS.filter((kind) => {
    try {
      check(kind, 1);
      return true;
    } catch (error) {
      if (error instanceof DarkroomError && error.code === 'BAD_REQUEST') return false;
      throw error;
    }
  });
}

describe('lane-state', () => {
  for (const { row, state, steps, send, crossed } of ROWS) {
    for (const side of ['a', 'b'] as const) {
      const other = side === 'a' ? 'b' : 'a';

      it(`${row}: ${side} may send ${['BEAT', ...send[side]].join(', ')} and nothing else`, () => {
        const machine = machineAfter(side, steps);
        expect(machine.state).to.equal(state);
        const sendable = passing((kind, length) => machine.checkSend(kind, length));
        expect(sendable).to.have.members(['BEAT', ...send[side]]);
      });

      const receivable = ['BEAT', ...send[other], ...crossed[side]];
      it(`${row}: ${side} may receive ${receivable.join(', ')} and nothing else`, () => {
        const machine = machineAfter(side, steps);
        const received = passing((kind, length) => machine.checkReceive(kind, length));
        expect(received).to.have.members(receivable);
      });
    }
  }

  it('accepts a body up to its last byte, but not one more', () => {
    const machine = machineAfter('b', [['HELLO'], ['WELCOME'], ['JOB', 100], ['GO'], ['DATA', 40]]);
    expect(machine.left).to.equal(60);
    expect(() => machine.checkReceive('DATA', 61)).to.throw(
      DarkroomError,
      'Expected at most 60 bytes for DATA while receiving, received 61',
    );
    machine.checkReceive('DATA', 60);
    expect(machine.data(60)).to.equal(true);
    expect(machine.state).to.equal('working');
    expect(machine.left).to.equal(0);
  });

  it("accepts an output up to its last byte before the job's next frame", () => {
    const machine = machineAfter('a', [['HELLO'], ['WELCOME'], ['JOB', 1], ['GO'], ['DATA', 1], ['OUTPUT', 10]]);
    expect(() => machine.checkReceive('DATA', 11)).to.throw(DarkroomError, 'at most 10 bytes');
    expect(() => machine.checkReceive('DONE', 0)).to.throw(DarkroomError, 'Expected 10 more bytes of DATA');
    expect(machine.data(10)).to.equal(true);
    machine.checkReceive('DONE', 0);
  });

  it('drops the rest of a failed body, but not one byte more', () => {
    const machine = machineAfter('b', [['HELLO'], ['WELCOME'], ['JOB', 100], ['GO'], ['DATA', 40], ['FAIL']]);
    machine.checkReceive('DATA', 60);
    expect(machine.data(25)).to.equal(false);
    expect(() => machine.checkReceive('DATA', 36)).to.throw(DarkroomError, 'at most 35 bytes for DATA while idle');
    expect(machine.data(35)).to.equal(false);
    expect(() => machine.checkReceive('DATA', 1)).to.throw(DarkroomError);
  });

  it('expects no more of a failed body after the next job is offered', () => {
    const steps: Step[] = [['HELLO'], ['WELCOME'], ['JOB', 100], ['GO'], ['FAIL'], ['JOB', 5]];
    expect(() => machineAfter('b', steps).checkReceive('DATA', 1)).to.throw(DarkroomError, 'while offered');
    const next = machineAfter('b', [...steps, ['REFUSE']]);
    expect(() => next.checkReceive('DATA', 1)).to.throw(DarkroomError, 'while idle');
  });

  it('accepts FAIL in the middle of an output, and starts the next job from the beginning', () => {
    const steps: Step[] = [
      ['HELLO'],
      ['WELCOME'],
      ['JOB', 1],
      ['GO'],
      ['DATA', 1],
      ['OUTPUT', 10],
      ['DATA', 4],
      ['FAIL'],
    ];
    const machine = machineAfter('a', steps);
    expect(machine.state).to.equal('idle');
    expect(machine.left).to.equal(0);
    machine.checkSend('JOB', 2);
  });

  describe('frames that cross on the wire', () => {
    it('WELCOME and JOB', () => {
      const pair = JoinedMachines.welcomed();
      pair.send('a', 'JOB', 10);
      pair.send('b', 'WELCOME');
      pair.deliverAll();
      expect(pair.states).to.deep.equal(['offered', 'offered']);
    });

    it('CANCEL and REFUSE', () => {
      const pair = JoinedMachines.offered(10);
      pair.send('a', 'CANCEL');
      pair.send('b', 'REFUSE');
      pair.deliverAll();
      expect(pair.states).to.deep.equal(['idle', 'idle']);
    });

    it('CANCEL and GO', () => {
      const pair = JoinedMachines.offered(10);
      pair.send('a', 'CANCEL');
      pair.send('b', 'GO');
      pair.deliverAll();
      expect(pair.states).to.deep.equal(['receiving', 'receiving']);
      pair.send('b', 'FAIL');
      pair.deliverAll();
      expect(pair.states).to.deep.equal(['idle', 'idle']);
    });

    it('DATA and FAIL, then the next job', () => {
      const pair = JoinedMachines.receiving(10);
      pair.send('a', 'DATA', 4);
      pair.send('a', 'DATA', 6);
      pair.send('b', 'FAIL');
      pair.deliver('b');
      pair.send('a', 'JOB', 3);
      pair.deliverAll();
      expect(pair.states).to.deep.equal(['offered', 'offered']);
      expect(pair.thrownAway).to.equal(10);
    });

    it('CANCEL and DONE, then the next job', () => {
      const pair = JoinedMachines.receiving(10);
      pair.send('a', 'DATA', 10);
      pair.deliverAll();
      pair.send('a', 'CANCEL');
      pair.send('b', 'DONE');
      pair.deliver('b');
      pair.send('a', 'JOB', 3);
      pair.deliverAll();
      expect(pair.states).to.deep.equal(['offered', 'offered']);
    });

    it('HELLO and a REFUSE that did not wait for it', () => {
      const pair = new JoinedMachines();
      pair.send('b', 'REFUSE');
      pair.send('a', 'HELLO');
      pair.deliver('b');
      expect(pair.states).to.deep.equal(['closed', 'closed']);
    });
  });

  it('accepts every legal frame of the other side, ends every job once, and counts the same on both sides', () => {
    let finished = 0;
    const choice = fc.record({
      turn: fc.nat({ max: 9 }),
      pick: fc.noBias(fc.nat()),
      bytes: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(choice, { minLength: 50, maxLength: 300, size: 'max' }), (choices) => {
        const pair = JoinedMachines.welcomed();
        for (const { turn, pick, bytes } of choices) {
          if (turn < 3) pair.deliver('a');
          else if (turn < 6) pair.deliver('b');
          else pair.sendAny(turn < 8 ? 'a' : 'b', pick, bytes);
          expect(pair.jobs - pair.ends).to.be.within(0, 1);
        }
        pair.deliverAll();
        expect(pair.states[0]).to.equal(pair.states[1]);
        expect(pair.lefts[0]).to.equal(pair.lefts[1]);
        expect(pair.ends).to.equal(pair.states[0] === 'idle' ? pair.jobs : pair.jobs - 1);
        expect(pair.received).to.equal(pair.sent);
        finished += pair.done;
      }),
      { numRuns: 100 },
    );
    expect(finished).to.be.greaterThan(20);
  });

  it('accepts every legal greeting, in every order', () => {
    const choice = fc.record({ turn: fc.nat({ max: 3 }), pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(choice, { maxLength: 30 }), (choices) => {
        const pair = new JoinedMachines();
        for (const { turn, pick } of choices) {
          const side = turn % 2 === 0 ? 'a' : 'b';
          if (turn < 2) pair.deliver(side);
          else pair.sendAny(side, pick, 1);
        }
        pair.deliverAll();
        expect(pair.states[0]).to.equal(pair.states[1]);
      }),
      { numRuns: 300 },
    );
  });
});
