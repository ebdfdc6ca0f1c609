import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Budget } from '../../server-b/budget.ts';
import type { JobOutcome } from '../../server-b/job.ts';
import { Listener } from '../../server-b/listener.ts';
import type { PoolJob } from '../../server-b/pool.ts';
import { ERRORS } from '../../shared/errors.ts';
import { createLogger } from '../../shared/log.ts';
import { FORMATS } from '../../shared/operations/format.ts';
import { OPERATION_NAMES } from '../../shared/operations/index.ts';
import { PROTOCOL_VERSION } from '../../shared/wire/frame.ts';
import type { LaneTiming } from '../../shared/wire/lane.ts';
import { jobMessage, SMALL_HEADER, WireClient } from '../support/wire-client.ts';

const BODY = Buffer.from('12345');
const MIB = 1024 * 1024;

/** A job that a worker has taken; the test decides its outcome. */
interface Taken {
  readonly job: PoolJob;
  readonly finish: (outcome: JobOutcome) => void;
}

/** Workers that the test controls: each job runs until the test ends it. */
class HeldWorkers {
  readonly taken: Taken[] = [];
  isStalled = false;
  #arrived: (() => void) | null = null;

  run(job: PoolJob): Promise<JobOutcome> {
    return new Promise((finish) => {
      this.taken.push({ job, finish });
      this.#arrived?.();
    });
  }

  async hasStalledThread(): Promise<boolean> {
    return this.isStalled;
  }

  async next(): Promise<Taken> {
    if (this.taken.length === 0) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    const taken = this.taken.shift();
    if (taken === undefined) throw new Error('no job was taken');
    return taken;
  }
}

const picture = (bytes: Buffer): JobOutcome => ({
  kind: 'done',
  outputs: [
    {
      header: {
        kind: 'picture',
        name: 'resize',
        operation: 'resize',
        format: 'jpeg',
        width: 20,
        height: 15,
        frames: 1,
        bytes: bytes.length,
      },
      picture: new Uint8Array(bytes),
    },
  ],
  timings: { decode_ms: 1 },
  warnings: [],
});

describe('listener', () => {
  let listener: Listener;
  let workers: HeldWorkers;
  let model: string | null;
  let stuck: string[];
  const clients: WireClient[] = [];

  async function open(
    options: { slots?: number; bytes?: number; token?: string; timing?: LaneTiming } = {},
  ): Promise<void> {
    workers = new HeldWorkers();
    model = null;
    stuck = [];
    const slots = options.slots ?? 2;
    listener = await Listener.open({ host: '127.0.0.1', port: 0 }, slots, {
      pool: workers,
      budget: new Budget({ slots, bytes: options.bytes ?? 64 * MIB, threads: slots }),
      limits: { maxPixels: 1_000_000, maxSide: 2000, maxDecodedMb: 16, maxFrames: 1000, maxAnimationSeconds: 10 },
      token: options.token,
      log: createLogger('test', 'silent'),
      ...(options.timing === undefined ? {} : { timing: options.timing }),
      welcome: () => ({
        protocol: PROTOCOL_VERSION,
        instance: 'an-instance',
        slots,
        operations: [...OPERATION_NAMES],
        formats: [...FORMATS],
        model,
      }),
      stuck: (id) => stuck.push(id),
    });
  }

  async function client(token = ''): Promise<WireClient> {
    const made = await WireClient.greeted(listener.address, token);
    clients.push(made);
    return made;
  }

  /** A client whose job a worker is processing. */
  async function working(overrides: Parameters<typeof jobMessage>[0] = {}): Promise<{ a: WireClient; taken: Taken }> {
    const a = await client();
    a.lane.send('JOB', jobMessage(overrides));
    await a.next('GO');
    await a.lane.sendData(BODY);
    return { a, taken: await workers.next() };
  }

  afterEach(() => {
    for (const made of clients.splice(0)) made.close();
    listener.close();
  });

  describe('greeting', () => {
    it('answers WELCOME with what it offers', async () => {
      await open({ slots: 3 });
      const a = new WireClient(listener.address);
      clients.push(a);
      a.lane.send('HELLO', { protocol: PROTOCOL_VERSION, token: '' });
      const { message } = await a.next('WELCOME');
      expect(message).to.include({ protocol: PROTOCOL_VERSION, instance: 'an-instance', slots: 3, model: null });
      expect(message.operations).to.deep.equal(OPERATION_NAMES);
    });

    it('refuses another protocol version, and names its own (rule 7)', async () => {
      await open();
      const a = new WireClient(listener.address);
      a.lane.send('HELLO', { protocol: PROTOCOL_VERSION + 1, token: '' });
      expect((await a.next('REFUSE')).message.message).to.equal(
        `Expected protocol ${PROTOCOL_VERSION}, received ${PROTOCOL_VERSION + 1}`,
      );
      await a.next('closed');
    });

    it('refuses a wrong token and accepts the right one (rule 7)', async () => {
      await open({ token: 'secret' });
      const a = new WireClient(listener.address);
      a.lane.send('HELLO', { protocol: PROTOCOL_VERSION, token: 'secreT' });
      expect((await a.next('REFUSE')).message.code).to.equal('UNAUTHENTICATED');
      await a.next('closed');
      await client('secret');
    });

    it('closes a connection that does not greet within two seconds (rule 7)', async () => {
      await open();
      // A BEAT may come first, and a socket emits no end unless it is read.
      const socket = connect(listener.address.port, listener.address.host).resume();
      await new Promise((resolve) => socket.once('close', resolve));
    });

    it('closes a lane whose first frame is not HELLO, and serves the next lane', async () => {
      await open();
      const socket = connect(listener.address.port, listener.address.host).resume();
      socket.write('GET / HTTP/1.1\r\n\r\n');
      await new Promise((resolve) => socket.once('close', resolve));
      await client();
    });
  });

  describe('a job', () => {
    it('gets GO, sends its outputs and ends with DONE (rule 1)', async () => {
      await open();
      const { a, taken } = await working();
      expect(Buffer.from(taken.job.body)).to.deep.equal(BODY);
      taken.finish(picture(Buffer.alloc(3 * MIB)));
      expect((await a.next('OUTPUT')).message).to.include({ kind: 'picture', bytes: 3 * MIB });
      await a.next('DONE');
      expect(a.lane.state).to.equal('idle');
    });

    it('can follow another on the same lane', async () => {
      await open();
      const { a, taken } = await working();
      taken.finish(picture(BODY));
      await a.next('DONE');
      a.lane.send('JOB', jobMessage());
      await a.next('GO');
    });

    it('fails with the error of the worker', async () => {
      await open();
      const { a, taken } = await working();
      taken.finish({ kind: 'failed', error: { code: 'IMAGE_CORRUPT', message: 'broken' } });
      expect((await a.next('FAIL')).message).to.deep.equal({ code: 'IMAGE_CORRUPT', message: 'broken' });
    });

    it('waits for a slot of any lane (rule 3)', async () => {
      await open({ slots: 1 });
      const { a: first, taken } = await working();
      const second = await client();
      second.lane.send('JOB', jobMessage());
      await sleep(50);
      expect(second.seen).to.deep.equal([]);
      taken.finish(picture(BODY));
      await first.next('DONE');
      await second.next('GO');
    });

    it('waits until all of its memory is free (rule 3)', async () => {
      await open({ slots: 4, bytes: 7 * MIB });
      const { taken } = await working();
      const second = await client();
      second.lane.send('JOB', jobMessage());
      await sleep(50);
      expect(second.seen).to.deep.equal([]);
      taken.finish(picture(BODY));
      await second.next('GO');
    });

    it('is refused at once when it exceeds the whole budget (rule 3)', async () => {
      await open({ bytes: 7 * MIB });
      const a = await client();
      a.lane.send('JOB', jobMessage({ image: { ...SMALL_HEADER, width: 1000, height: 1000 } }));
      expect((await a.next('REFUSE')).message.code).to.equal('IMAGE_TOO_LARGE');
      a.lane.send('JOB', jobMessage());
      await a.next('GO');
    });

    it('is refused with BACKEND_UNAVAILABLE, and reserves nothing, if the system has no memory for its body (rule 3)', async () => {
      await open({ slots: 1, bytes: Number.MAX_SAFE_INTEGER });
      const a = await client();
      a.lane.send('JOB', jobMessage({ bytes: 2 ** 52 }));
      const { code } = (await a.next('REFUSE')).message;
      expect(ERRORS[code].retry).to.equal('later');
      a.lane.send('JOB', jobMessage());
      await a.next('GO');
    });

    it('is refused when its header or its output exceeds the limits', async () => {
      await open();
      const a = await client();
      a.lane.send('JOB', jobMessage({ image: { ...SMALL_HEADER, width: 2001 } }));
      expect((await a.next('REFUSE')).message.message).to.contain('at most 2000 pixels a side');
      a.lane.send('JOB', jobMessage({ outputs: [{ name: 'circle', operation: 'circle', size: 2001 }] }));
      expect((await a.next('REFUSE')).message.code).to.equal('IMAGE_TOO_LARGE');
    });

    it('that must be alone waits for every slot, and no other job runs at the same time', async () => {
      await open({ slots: 2 });
      const { taken } = await working();
      const alone = await client();
      alone.lane.send('JOB', jobMessage({ alone: true }));
      const third = await client();
      third.lane.send('JOB', jobMessage());
      await sleep(50);
      expect(alone.seen).to.deep.equal([]);
      taken.finish(picture(BODY));
      await alone.next('GO');
      await sleep(50);
      expect(third.seen).to.deep.equal([]);
      alone.lane.signal('CANCEL');
      await third.next('GO');
    });
  });

  describe('the deadline (rule 4)', () => {
    it('does not run while the job waits', async () => {
      await open({ slots: 1 });
      const { taken } = await working();
      const waiting = await client();
      waiting.lane.send('JOB', jobMessage({ deadline_ms: 20 }));
      await sleep(100);
      expect(waiting.seen).to.deep.equal([]);
      taken.finish(picture(BODY));
      await waiting.next('GO');
    });

    it('ends the job with TIMEOUT, and the instance when the worker is still busy a second later', async () => {
      await open();
      const { a, taken } = await working({ deadline_ms: 50 });
      expect((await a.next('FAIL')).message.code).to.equal('TIMEOUT');
      expect(stuck).to.deep.equal([]);
      await sleep(1200);
      expect(stuck).to.deep.equal([taken.job.id]);
    });

    it('sends no TIMEOUT if a thread is stalled, and ends the instance', async () => {
      await open();
      workers.isStalled = true;
      const { a, taken } = await working({ deadline_ms: 50 });
      await sleep(1200);
      expect(a.seen).to.deep.equal([]);
      expect(stuck).to.deep.equal([taken.job.id]);
    });

    it('sends TIMEOUT to a job that is alone, even if a thread is stalled', async () => {
      await open();
      workers.isStalled = true;
      const { a, taken } = await working({ deadline_ms: 50, alone: true });
      expect((await a.next('FAIL')).message.code).to.equal('TIMEOUT');
      taken.finish(picture(BODY));
    });

    it('does not end the instance when the worker returns within a second', async () => {
      await open();
      const { a, taken } = await working({ deadline_ms: 50 });
      await a.next('FAIL');
      taken.finish(picture(BODY));
      await sleep(1200);
      expect(stuck).to.deep.equal([]);
      expect(a.seen).to.deep.equal([]);
    });
  });

  describe('a stall of the process', () => {
    /** Blocks this thread for longer than the deadline of a job and the second after it. */
    function stall(): void {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
    }

    it('is not time of a job', async () => {
      await open();
      const { a, taken } = await working({ deadline_ms: 600 });
      stall();
      taken.finish(picture(BODY));
      await a.next('DONE');
      expect(stuck).to.deep.equal([]);
    });

    it('has a job run again that a worker ended with TIMEOUT because of it', async () => {
      await open();
      const { a, taken } = await working({ deadline_ms: 3000 });
      stall();
      taken.finish({ kind: 'failed', error: { code: 'TIMEOUT', message: 'late' } });
      expect((await a.next('FAIL')).message.code).to.equal('BACKEND_UNAVAILABLE');
    });
  });

  describe('CANCEL (rule 5)', () => {
    it('of an offered job is answered, and removes the job from the queue', async () => {
      await open({ slots: 1 });
      const { taken } = await working();
      const second = await client();
      second.lane.send('JOB', jobMessage());
      second.lane.signal('CANCEL');
      expect((await second.next('FAIL')).message.code).to.equal('CANCELED');
      const third = await client();
      third.lane.send('JOB', jobMessage());
      taken.finish(picture(BODY));
      await third.next('GO');
    });

    it('while receiving frees the memory, and DATA in transit is dropped', async () => {
      await open({ slots: 1 });
      const a = await client();
      a.lane.send('JOB', jobMessage({ bytes: 2 * MIB }));
      await a.next('GO');
      await a.lane.sendData(Buffer.alloc(MIB));
      a.lane.signal('CANCEL');
      expect((await a.next('FAIL')).message.code).to.equal('CANCELED');
      a.lane.send('JOB', jobMessage());
      await a.next('GO');
    });

    it('while working is answered at once, and slot and memory stay reserved until the worker returns', async () => {
      await open({ slots: 1 });
      const { a, taken } = await working();
      a.lane.signal('CANCEL');
      expect((await a.next('FAIL')).message.code).to.equal('CANCELED');
      a.lane.send('JOB', jobMessage());
      await sleep(50);
      expect(a.seen).to.deep.equal([]);
      taken.finish(picture(BODY));
      await a.next('GO');
    });

    it('while idle is ignored', async () => {
      await open();
      const { a, taken } = await working();
      taken.finish(picture(BODY));
      // This side still has the state working when it sends CANCEL, so CANCEL crosses DONE.
      a.lane.signal('CANCEL');
      await a.next('DONE').catch(() => {});
      a.lane.send('JOB', jobMessage());
      await a.next('GO');
    });
  });

  describe('a closed lane', () => {
    it('frees slot and memory when it is cut while receiving', async () => {
      await open({ slots: 1 });
      const a = await client();
      a.lane.send('JOB', jobMessage());
      await a.next('GO');
      a.close();
      const b = await client();
      b.lane.send('JOB', jobMessage());
      await b.next('GO');
    });

    it('keeps the slot until the worker returns when it is cut while working', async () => {
      await open({ slots: 1 });
      const { a, taken } = await working();
      a.close();
      const b = await client();
      b.lane.send('JOB', jobMessage());
      await sleep(50);
      expect(b.seen).to.deep.equal([]);
      taken.finish(picture(BODY));
      await b.next('GO');
    });

    it('is closed because it sent a longer body than announced', async () => {
      await open();
      const socket = connect(listener.address.port, listener.address.host);
      const frame = (kind: number, payload: Buffer) => {
        const header = Buffer.from([kind, 0, 0, 0, 0]);
        header.writeUInt32BE(payload.length, 1);
        return Buffer.concat([header, payload]);
      };
      socket.write(frame(1, Buffer.from(JSON.stringify({ protocol: PROTOCOL_VERSION, token: '' }))));
      socket.write(frame(3, Buffer.from(JSON.stringify(jobMessage()))));
      await sleep(50);
      socket.on('error', () => {});
      socket.resume();
      socket.write(frame(6, Buffer.alloc(6)));
      await new Promise((resolve) => socket.once('close', resolve));
      await client();
    });

    it('is closed because it sent no byte for three beats (rule 2)', async () => {
      await open({ timing: { beatMs: 20, deadMs: 60 } });
      const socket = connect(listener.address.port, listener.address.host);
      const hello = Buffer.from(JSON.stringify({ protocol: PROTOCOL_VERSION, token: '' }));
      socket.write(Buffer.concat([Buffer.from([1, 0, 0, 0, hello.length]), hello]));
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    });
  });

  it('sends WELCOME again, at once on an idle lane and after the job on a busy one', async () => {
    await open();
    const idle = await client();
    const { a: busy, taken } = await working();
    model = 'mobilenetv2';
    listener.announce();
    expect((await idle.next('WELCOME')).message.model).to.equal('mobilenetv2');
    expect(busy.seen).to.deep.equal([]);
    taken.finish(picture(BODY));
    await busy.next('DONE');
    expect((await busy.next('WELCOME')).message.model).to.equal('mobilenetv2');
  });

  it('refuses new jobs with DRAINING during a drain, and finishes running jobs', async () => {
    await open();
    const { a, taken } = await working();
    const other = await client();
    listener.drain();
    other.lane.send('JOB', jobMessage());
    expect((await other.next('REFUSE')).message.code).to.equal('DRAINING');
    taken.finish(picture(BODY));
    await a.next('DONE');
    expect(listener.busyLanes).to.equal(0);
  });

  it('throws the system’s code for a port in use', async () => {
    await open();
    const error = await Listener.open(listener.address, 1, {
      pool: workers,
      budget: new Budget({ slots: 1, bytes: MIB, threads: 1 }),
      limits: { maxPixels: 1, maxSide: 1, maxDecodedMb: 1, maxFrames: 1000, maxAnimationSeconds: 10 },
      token: undefined,
      log: createLogger('test', 'silent'),
      welcome: () => {
        throw new Error('never greets');
      },
      stuck: () => {},
    }).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'EADDRINUSE', port: listener.address.port });
  });
});
