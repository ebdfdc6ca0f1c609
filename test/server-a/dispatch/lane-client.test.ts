import { expect } from 'chai';
import type { Job } from '../../../server-a/dispatch/contract.ts';
import { type JobOutcome, LaneClient } from '../../../server-a/dispatch/lane-client.ts';
import { DarkroomError } from '../../../shared/errors.ts';
import { watchdogPart } from '../../../shared/watchdog.ts';
import { type Behaviour, type FakeLane, FakeServerB, welcome } from '../../support/fake-server-b.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { SlowFiles } from '../../support/slow-files.ts';
import { BEYOND_KERNEL_BYTES, untilStuck } from '../../support/socket-pair.ts';
import { codeOf, pictureHeader } from '../tasks/support.ts';
import { jobOf } from './support.ts';

const ID = 'V1StGXR8_Z5jdHi6B-myT';
const BODY = Buffer.alloc(1000, 1);
/** More bytes than a lane buffers before backpressure stops Server B. */
const PICTURE = Buffer.alloc(BEYOND_KERNEL_BYTES, 7);
const DEADLINE_MS = 5000;
/** The lane waits this long for more of an outcome: 10 s beyond the deadline. */
const LIMIT_MS = DEADLINE_MS + 10_000;
/** So long that no lane counts as silent when these tests move the clock. */
const TIMING = { beatMs: 10_000_000, deadMs: 10_000_000 };

/** Resolves when all promises that need no timer or I/O have settled. */
const settled = () => new Promise(setImmediate);

describe('lane client', () => {
  let fake: FakeServerB;
  let clock: ManualClock;
  let lane: LaneClient;
  /** Why the lane closed. */
  let reason: string;
  let files: SlowFiles;
  /** Server B's action when a job's body has arrived. */
  let worked: (one: FakeLane) => void;

  beforeEach(() => {
    clock = new ManualClock();
    files = new SlowFiles([BODY]);
    reason = '';
    worked = () => undefined;
  });
  afterEach(async () => {
    lane.close();
    files.release();
    await fake.close();
  });

  /** A lane to a Server B that greets, sends GO and answers CANCEL by default; resolves after the greeting. */
  async function connect(differences: Behaviour = () => ({})): Promise<void> {
    const behaviour: Behaviour = (one) => ({
      HELLO: () => one.wire.send('WELCOME', welcome()),
      JOB: () => one.wire.signal('GO'),
      DATA: () => {
        if (one.wire.state === 'working') worked(one);
      },
      CANCEL: () => one.wire.send('FAIL', { code: 'CANCELED', message: 'canceled' }),
      ...differences(one),
    });
    fake = await FakeServerB.open(behaviour, TIMING);
    await new Promise<void>((resolve) => {
      const options = { token: undefined, files, timing: TIMING, clock };
      const closed = (_lane: LaneClient, why: string) => {
        reason = why;
        resolve();
      };
      lane = new LaneClient(fake.address, { ...options, welcomed: () => resolve(), closed });
    });
  }

  function run(changes: Partial<Job> = {}): Promise<JobOutcome> {
    return lane.run({ job: jobOf(ID, { bytes: BODY.length, ...changes }), mode: 'shared' }, DEADLINE_MS);
  }

  /** A job whose body has reached Server B; `running` resolves with its outcome. */
  async function begin(): Promise<{ running: Promise<JobOutcome>; one: FakeLane }> {
    const working = new Promise<FakeLane>((resolve) => {
      worked = resolve;
    });
    const running = run();
    return { running, one: await working };
  }

  /** A job of three pieces. Server B has received one; this side waits before it reads the next. */
  async function beginBody(
    handlers: ReturnType<Behaviour> = {},
  ): Promise<{ running: Promise<JobOutcome>; one: FakeLane }> {
    files.pieces = [BODY, BODY, BODY];
    files.holdInput();
    let received: (one: FakeLane) => void = () => undefined;
    const begun = new Promise<FakeLane>((resolve) => {
      received = resolve;
    });
    const took = (one: FakeLane) => {
      received(one);
      if (one.wire.state === 'working') worked(one);
    };
    await connect((one) => ({ DATA: () => took(one), ...handlers }));
    const running = run({ bytes: 3 * BODY.length });
    return { running, one: await begun };
  }

  /** Sends the picture; its header announces `bytes` bytes. */
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

  /** Resolves with the code with which this side stopped. */
  async function stopCode(running: Promise<JobOutcome>): Promise<string> {
    const outcome = await running;
    return outcome.kind === 'stopped' ? codeOf(Promise.reject(outcome.error)) : outcome.kind;
  }

  async function expectDone(running: Promise<JobOutcome>): Promise<void> {
    const outcome = await running;
    expect(outcome.kind).to.equal('done');
    if (outcome.kind === 'done') await outcome.outputs.commit();
    expect(lane.isFree).to.equal(true);
  }

  it('reads all inputs into one memory, as large as the largest of them and at most 256 KiB', async () => {
    await connect();
    worked = (one) => one.wire.send('DONE', { timings: {} });
    for (const kibibytes of [1, 90, 300, 2]) {
      files.pieces = [Buffer.alloc(kibibytes * 512), Buffer.alloc(kibibytes * 512)];
      expect((await run({ bytes: kibibytes * 1024 })).kind).to.equal('done');
    }
    expect(files.buffers.map(({ length }) => length / 1024)).to.deep.equal([1, 90, 256, 256]);
    expect(files.buffers[3]).to.equal(files.buffers[2]);
  });

  describe('closes the lane', () => {
    it('when nothing of the outcome arrives', async () => {
      await connect();
      const { running } = await begin();
      await clock.untilSet(watchdogPart(LIMIT_MS));
      await expectGivenUp(running);
    });

    it('when Server B stops in the middle of an output', async () => {
      await connect();
      const { running, one } = await begin();
      await clock.untilSet(watchdogPart(LIMIT_MS));
      one.wire.send('OUTPUT', pictureHeader('resize', PICTURE.length));
      await one.wire.sendData(PICTURE.subarray(0, 1000));
      await files.given(1000);
      await expectGivenUp(running);
    });

    it('when Server B stops after backpressure, once all received bytes are written', async () => {
      files.holdWrites();
      await connect();
      const { running, one } = await begin();
      const sending = sendPicture(one, PICTURE.length + 1);
      await untilStuck(one.socket);
      files.release();
      await Promise.all([sending, files.given(PICTURE.length)]);
      await clock.untilSet(watchdogPart(LIMIT_MS));
      await expectGivenUp(running);
    });
  });

  describe('keeps the lane', () => {
    it('while the lane is paused', async () => {
      files.holdWrites();
      await connect();
      const { running, one } = await begin();
      await clock.untilSet(watchdogPart(LIMIT_MS));
      const finishing = finish(one);
      await untilStuck(one.socket);
      clock.advance(10 * LIMIT_MS);
      expect(lane.isOpen).to.equal(true);
      files.release();
      await Promise.all([finishing, expectDone(running)]);
    });

    it('while the lane is paused, even if the body was completely sent only during the pause', async () => {
      files.holdInput();
      files.holdWrites();
      await connect();
      const { running, one } = await begin();
      const finishing = finish(one);
      await untilStuck(one.socket);
      files.goOnReading();
      await settled();
      clock.advance(10 * LIMIT_MS);
      expect(lane.isOpen).to.equal(true);
      files.release();
      await Promise.all([finishing, expectDone(running)]);
    });

    it('while Server B sends its outputs slowly', async () => {
      await connect();
      const { running, one } = await begin();
      await clock.untilSet(watchdogPart(LIMIT_MS));
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

  describe('closes the lane at the greeting', () => {
    it('when none arrives within 2 s', async () => {
      const greeting = connect(() => ({ HELLO: () => undefined }));
      await clock.untilSet(watchdogPart(2000));
      clock.advance(2000);
      await greeting;
      expect(reason).to.equal('Expected WELCOME from Server B within 2000 ms, received none');
    });

    it('and keeps no timer when it arrives in time', async () => {
      await connect();
      expect(clock.has(watchdogPart(2000))).to.equal(false);
    });

    it('and keeps no timer when the lane has closed before', async () => {
      await connect(({ socket }) => ({ HELLO: () => socket.destroy() }));
      expect(lane.isOpen).to.equal(false);
      expect(clock.has(watchdogPart(2000))).to.equal(false);
    });
  });

  describe('stops a job', () => {
    it('whose input is shorter than it was', async () => {
      await connect();
      expect(await stopCode(run({ bytes: BODY.length + 1 }))).to.equal('SPOOL_CORRUPT');
    });

    it('whose input is longer than it was', async () => {
      files.pieces = [BODY, BODY];
      await connect();
      expect(await stopCode(run())).to.equal('SPOOL_CORRUPT');
    });

    it('for the first reason only', async () => {
      let canceled: () => void = () => undefined;
      const asked = new Promise<void>((resolve) => {
        canceled = resolve;
      });
      await connect(() => ({ CANCEL: () => canceled() }));
      const { running, one } = await begin();
      one.wire.send('OUTPUT', pictureHeader('resize', 1000));
      await one.wire.sendData(PICTURE.subarray(0, 1000));
      files.failWrites(new DarkroomError('STORAGE_FULL', 'full'));
      await asked;
      lane.cancel(ID);
      one.wire.send('FAIL', { code: 'CANCELED', message: 'canceled' });
      expect(await stopCode(running)).to.equal('STORAGE_FULL');
    });

    it('and reads no more of its input, even before Server B has answered', async () => {
      const { running, one } = await beginBody({ CANCEL: () => undefined });
      lane.cancel(ID);
      files.release();
      await files.inputClosed();
      expect(files.read).to.equal(2);
      one.wire.send('FAIL', { code: 'CANCELED', message: 'canceled' });
      expect(await running).to.deep.equal({ kind: 'canceled' });
    });

    it('that Server B fails, and sends none of its body with the next job', async () => {
      const { running, one } = await beginBody();
      one.wire.send('FAIL', { code: 'INTERNAL', message: 'why' });
      expect((await running).kind).to.equal('failed');
      worked = ({ wire }) => wire.send('DONE', { timings: {} });
      const next = run({ bytes: 3 * BODY.length });
      await files.asked(2);
      files.release();
      await expectDone(next);
      expect(files.read).to.equal(2 + 3);
    });

    it('and starts no timer when the paused lane closes', async () => {
      files.holdWrites();
      await connect();
      const { running, one } = await begin();
      const sending = sendPicture(one);
      await untilStuck(one.socket);
      lane.close();
      files.release();
      expect(await running).to.include({ kind: 'lost', isPastGo: true });
      expect(clock.has(watchdogPart(LIMIT_MS))).to.equal(false);
      await sending;
    });

    it('and starts no timer when the end of its input comes later', async () => {
      files.holdInput();
      await connect();
      const { running } = await begin();
      lane.cancel(ID);
      expect(await running).to.deep.equal({ kind: 'canceled' });
      files.release();
      await settled();
      expect(clock.has(watchdogPart(LIMIT_MS))).to.equal(false);
    });

    it('and not the next job, when an output of a finished job cannot be written', async () => {
      files.holdWrites();
      await connect();
      const first = await begin();
      first.one.wire.send('OUTPUT', pictureHeader('resize', 1000));
      await first.one.wire.sendData(PICTURE.subarray(0, 1000));
      first.one.wire.send('DONE', { timings: {} });
      const outcome = await first.running;
      const second = await begin();
      files.failWrites(new DarkroomError('STORAGE_FULL', 'full'));
      if (outcome.kind !== 'done') throw new Error(`Expected a job that is done, received ${outcome.kind}`);
      expect(await codeOf(outcome.outputs.commit())).to.equal('STORAGE_FULL');
      // Two turns of the event loop, in which a CANCEL would reach Server B.
      await settled();
      await settled();
      second.one.wire.send('DONE', { timings: {} });
      await expectDone(second.running);
    });
  });

  it('returns the outcome lost for a job that starts after the lane has closed', async () => {
    await connect();
    lane.close();
    expect(await run()).to.deep.equal({ kind: 'lost', instance: 'first-life', isPastGo: false });
  });

  it('is not free while it runs a job', async () => {
    await connect();
    const { running, one } = await begin();
    expect(lane.isFree).to.equal(false);
    one.wire.send('DONE', { timings: {} });
    await expectDone(running);
  });

  it('is free for the next job after one that cannot be offered', async () => {
    await connect();
    worked = (one) => void finish(one);
    expect((await run({ id: 'x'.repeat(70_000) })).kind).to.equal('stopped');
    expect(lane.isFree).to.equal(true);
    await expectDone(run());
  });
});
