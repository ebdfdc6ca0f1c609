import { EventEmitter, once } from 'node:events';
import { expect } from 'chai';
import { pino } from 'pino';
import type { JobFiles } from '../../../server-a/dispatch/contract.ts';
import { type Backend, Lanes } from '../../../server-a/dispatch/lanes.ts';
import { type Behaviour, FakeServerB, welcome } from '../../support/fake-server-b.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { WireClient } from '../../support/wire-client.ts';

/** So long that no lane counts as silent when these tests move the clock. */
const TIMING = { beatMs: 10_000_000, deadMs: 10_000_000 };
const NO_FILES: JobFiles = {
  readInput: () => {
    throw new Error('Expected no job, received one');
  },
  createOutput: () => Promise.reject(new Error('Expected no output, received one')),
};

const greeting: Behaviour = ({ wire }) => ({ HELLO: () => wire.send('WELCOME', welcome()) });

describe('lanes', () => {
  let fake: FakeServerB;
  let clock: ManualClock;
  let lanes: Lanes;
  let events: EventEmitter;
  let logged: string[];

  beforeEach(() => {
    clock = new ManualClock();
    events = new EventEmitter();
    logged = [];
  });
  afterEach(async () => {
    lanes.close();
    await fake.close();
  });

  function open(backend: Backend = fake): void {
    const log = pino({ level: 'info' }, { write: (line: string) => logged.push(JSON.parse(line).msg) });
    const answered = () => events.emit('answered');
    lanes = new Lanes({ backend, token: undefined, files: NO_FILES, log, timing: TIMING, clock, answered });
  }

  /** A Server B that cuts its first `count` connections. */
  function cuttingAtFirst(count: number): Behaviour {
    return (lane) => {
      if (lane.number >= count) return greeting(lane);
      lane.socket.destroy();
      return {};
    };
  }

  /** The address of the fake, known only after `change` is called. */
  function laterBackend(): Backend & { change(): void } {
    let listener = () => {};
    let address: Backend['address'] = null;
    return {
      get address() {
        return address;
      },
      onChange: (called) => {
        listener = called;
      },
      change: () => {
        address = fake.address;
        listener();
      },
    };
  }

  it('wait longer before each new connection, up to 1 s', async () => {
    fake = await FakeServerB.open(cuttingAtFirst(7));
    open();
    const answered = once(events, 'answered');
    for (const milliseconds of [50, 100, 200, 400, 800, 1000, 1000]) {
      await clock.untilSet(milliseconds);
      clock.advance(milliseconds);
    }
    await answered;
    expect(lanes.openCount).to.equal(1);
  });

  it('log once that Server B does not answer, and once that it answers again', async () => {
    fake = await FakeServerB.open(cuttingAtFirst(2));
    open();
    const answered = once(events, 'answered');
    for (const milliseconds of [50, 100]) {
      await clock.untilSet(milliseconds);
      clock.advance(milliseconds);
    }
    await answered;
    expect(logged).to.deep.equal(['Server B does not answer; tasks wait', 'Server B answers']);
  });

  it('log nothing when Server B answers at once', async () => {
    fake = await FakeServerB.open(greeting);
    open();
    await once(events, 'answered');
    lanes.close();
    expect(logged).to.deep.equal([]);
  });

  it('log nothing when one of several lanes is lost', async () => {
    fake = await FakeServerB.open(({ wire }) => ({ HELLO: () => wire.send('WELCOME', welcome({ slots: 2 })) }));
    open();
    while (lanes.openCount < 2) await once(events, 'answered');
    fake.lanes[0]?.socket.destroy();
    await clock.untilSet(50);
    expect(lanes.openCount).to.equal(1);
    expect(logged).to.deep.equal([]);
  });

  it('are free only if they belong to the instance that answered last', async () => {
    fake = await FakeServerB.open(({ wire, number }) => ({
      HELLO: () => wire.send('WELCOME', welcome({ instance: number === 0 ? 'first' : 'second', slots: 2 })),
    }));
    open();
    while (lanes.openCount < 2) await once(events, 'answered');
    expect(lanes.free()?.instance).to.equal('second');
  });

  it('remember the smallest memory that any WELCOME announced', async () => {
    const memories = [undefined, 200, 300, 100, 400];
    fake = await FakeServerB.open(({ wire, number }) => ({
      HELLO: () => wire.send('WELCOME', welcome({ memory_bytes: memories[number] })),
    }));
    open();
    const known: (number | null)[] = [];
    for (const _ of memories) {
      await once(events, 'answered');
      known.push(lanes.memoryBytes);
      fake.cut();
      await clock.untilSet(50);
      clock.advance(50);
    }
    expect(known).to.deep.equal([null, 200, 200, 100, 100]);
  });

  it('open when the address becomes known', async () => {
    fake = await FakeServerB.open(greeting);
    const backend = laterBackend();
    open(backend);
    backend.change();
    await once(events, 'answered');
    expect(lanes.openCount).to.equal(1);
  });

  it('do not open again after close', async () => {
    const numbers: number[] = [];
    fake = await FakeServerB.open((lane) => {
      numbers.push(lane.number);
      return greeting(lane);
    });
    const backend = laterBackend();
    open(backend);
    lanes.close();
    backend.change();
    // Connections are accepted in the order in which they were made.
    const client = await WireClient.greeted(fake.address);
    client.close();
    expect(numbers).to.deep.equal([0]);
  });
});
