import { EventEmitter, once } from 'node:events';
import { expect } from 'chai';
import type { JobFiles, OutputFile } from '../../../server-a/dispatch/contract.ts';
import { type JobOutcome, LaneClient } from '../../../server-a/dispatch/lane-client.ts';
import { type Behaviour, type FakeLane, FakeServerB, welcome } from '../../support/fake-server-b.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { BEYOND_KERNEL_BYTES, untilStuck } from '../../support/socket-pair.ts';
import { pictureHeader } from '../tasks/support.ts';
import { jobOf } from './support.ts';

const BODY = Buffer.alloc(1000, 1);
/** More than a lane takes before it holds Server B back. */
const PICTURE = Buffer.alloc(BEYOND_KERNEL_BYTES, 7);
const DEADLINE_MS = 5000;
/** Server B may give nothing of an outcome for this long: 10 s beyond its deadline. */
const LIMIT_MS = DEADLINE_MS + 10_000;
/** The clock of these tests moves by hand, and no lane may end because it was silent meanwhile. */
const TIMING = { beatMs: 10_000_000, deadMs: 10_000_000 };

/** Files that hold a lane up until a test lets it go on. */
class SlowFiles implements JobFiles {
  readonly #changes = new EventEmitter();
  #isWriting = true;
  #isInputEnding = true;
  #created = 0;
  #bytes = 0;

  /** From now on no output file is made and nothing is written. */
  holdWrites(): void {
    this.#isWriting = false;
  }

  /** From now on an input gives all its bytes, but not its end. */
  holdInputEnd(): void {
    this.#isInputEnding = false;
  }

  endInput(): void {
    this.#isInputEnding = true;
    this.#changes.emit('change');
  }

  letGo(): void {
    this.#isWriting = true;
    this.endInput();
  }

  async *readInput(): AsyncGenerator<Buffer> {
    yield BODY;
    await this.#until(() => this.#isInputEnding);
  }

  async createOutput(): Promise<OutputFile> {
    this.#created += 1;
    this.#changes.emit('change');
    await this.#until(() => this.#isWriting);
    return {
      write: async (chunk) => {
        this.#bytes += chunk.length;
        this.#changes.emit('change');
        await this.#until(() => this.#isWriting);
      },
      commit: () => Promise.resolve('sha256'),
      discard: () => Promise.resolve(),
    };
  }

  /** Resolves when so many output files have been asked for. */
  created(count: number): Promise<void> {
    return this.#until(() => this.#created >= count);
  }

  /** Resolves when so many bytes have been given to be written. */
  given(bytes: number): Promise<void> {
    return this.#until(() => this.#bytes >= bytes);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#changes, 'change');
  }
}

describe('lane client', () => {
  let fake: FakeServerB;
  let clock: ManualClock;
  let lane: LaneClient;
  /** Why the lane closed. */
  let reason: string;
  let files: SlowFiles;

  beforeEach(() => {
    clock = new ManualClock();
    files = new SlowFiles();
    reason = '';
  });
  afterEach(async () => {
    lane.close();
    files.letGo();
    await fake.close();
  });

  /** A lane that has been greeted, to a Server B that does what is given when a job's body is in. */
  async function connect(worked: (lane: FakeLane) => void): Promise<void> {
    const behaviour: Behaviour = (one) => ({
      HELLO: () => one.wire.send('WELCOME', welcome()),
      JOB: () => one.wire.signal('GO'),
      DATA: () => {
        if (one.wire.state === 'working') worked(one);
      },
    });
    fake = await FakeServerB.open(behaviour, TIMING);
    await new Promise<void>((resolve) => {
      lane = new LaneClient(fake.address, {
        token: undefined,
        files,
        timing: TIMING,
        clock,
        welcomed: () => resolve(),
        closed: (_lane, why) => {
          reason = why;
          resolve();
        },
      });
    });
  }

  function run(id = 'V1StGXR8_Z5jdHi6B-myT'): Promise<JobOutcome> {
    return lane.run({ job: jobOf(id, { bytes: BODY.length }), mode: 'shared' }, DEADLINE_MS);
  }

  /** A job whose body Server B has; `running` is its outcome. */
  async function begin(): Promise<{ running: Promise<JobOutcome>; one: FakeLane }> {
    let worked: (one: FakeLane) => void = () => undefined;
    const working = new Promise<FakeLane>((resolve) => {
      worked = resolve;
    });
    await connect(worked);
    const running = run();
    return { running, one: await working };
  }

  /** Sends the picture; its header announces so many bytes. */
  function sendPicture({ wire }: FakeLane, announced = PICTURE.length): Promise<void> {
    wire.send('OUTPUT', pictureHeader('resize', announced));
    return wire.sendData(PICTURE);
  }

  async function finish(one: FakeLane): Promise<void> {
    await sendPicture(one);
    one.wire.send('DONE', { timings: {} });
  }

  async function expectGivenUp(running: Promise<JobOutcome>): Promise<void> {
    clock.advance(LIMIT_MS - 1);
    expect(lane.isOpen).to.equal(true);
    clock.advance(1);
    expect(await running).to.include({ kind: 'lost', isPastGo: true });
    expect(reason).to.equal(`Expected more of a job's outcome in ${LIMIT_MS} ms, received none`);
  }

  async function expectDone(running: Promise<JobOutcome>): Promise<void> {
    const outcome = await running;
    expect(outcome.kind).to.equal('done');
    if (outcome.kind === 'done') await outcome.outputs.commit();
    expect(lane.isFree).to.equal(true);
  }

  describe('gives Server B up', () => {
    it('when nothing of the outcome comes', async () => {
      const { running } = await begin();
      await clock.untilSet(LIMIT_MS);
      await expectGivenUp(running);
    });

    it('when it stops in the middle of an output', async () => {
      const { running, one } = await begin();
      await clock.untilSet(LIMIT_MS);
      one.wire.send('OUTPUT', pictureHeader('resize', PICTURE.length));
      await one.wire.sendData(PICTURE.subarray(0, 1000));
      await files.given(1000);
      await expectGivenUp(running);
    });

    it('when it stops after this side held it back, and has written all that it sent', async () => {
      files.holdWrites();
      const { running, one } = await begin();
      const sending = sendPicture(one, PICTURE.length + 1);
      await untilStuck(one.socket);
      files.letGo();
      await Promise.all([sending, files.given(PICTURE.length)]);
      await clock.untilSet(LIMIT_MS);
      await expectGivenUp(running);
    });
  });

  describe('does not give Server B up', () => {
    it('while this side does not read what it sends', async () => {
      files.holdWrites();
      const { running, one } = await begin();
      await clock.untilSet(LIMIT_MS);
      const finishing = finish(one);
      await untilStuck(one.socket);
      clock.advance(10 * LIMIT_MS);
      expect(lane.isOpen).to.equal(true);
      files.letGo();
      await Promise.all([finishing, expectDone(running)]);
    });

    it('while this side does not read, though it knows only then that the body is sent', async () => {
      files.holdInputEnd();
      files.holdWrites();
      const { running, one } = await begin();
      const finishing = finish(one);
      await untilStuck(one.socket);
      files.endInput();
      // What follows from the end of the input needs no event but promises.
      await new Promise(setImmediate);
      clock.advance(10 * LIMIT_MS);
      expect(lane.isOpen).to.equal(true);
      files.letGo();
      await Promise.all([finishing, expectDone(running)]);
    });

    it('while it gives its outputs slowly', async () => {
      const { running, one } = await begin();
      await clock.untilSet(LIMIT_MS);
      for (let output = 1; output <= 3; output += 1) {
        clock.advance(0.75 * LIMIT_MS);
        one.wire.send('OUTPUT', pictureHeader('resize', 3000));
        await files.created(output);
        for (let sent = 1; sent <= 3; sent += 1) {
          clock.advance(0.75 * LIMIT_MS);
          await one.wire.sendData(PICTURE.subarray(0, 1000));
          await files.given((3 * (output - 1) + sent) * 1000);
        }
      }
      one.wire.send('DONE', { timings: {} });
      await expectDone(running);
    });
  });

  it('is free for the next job after one that cannot be offered', async () => {
    await connect((one) => void finish(one));
    expect((await run('x'.repeat(70_000))).kind).to.equal('stopped');
    expect(lane.isFree).to.equal(true);
    await expectDone(run());
  });
});
