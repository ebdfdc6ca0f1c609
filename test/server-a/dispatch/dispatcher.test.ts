import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { serverASettings } from '../../../server-a/config.ts';
import type { Job, TaskRecords } from '../../../server-a/dispatch/contract.ts';
import { Dispatcher } from '../../../server-a/dispatch/dispatcher.ts';
import type { OnDemandBackend } from '../../../server-a/dispatch/lanes.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import type { Clock } from '../../../shared/clock.ts';
import { DarkroomError } from '../../../shared/errors.ts';
import { createLogger } from '../../../shared/log.ts';
import type { Task } from '../../../shared/task.ts';
import { encodeHeader } from '../../../shared/wire/frame.ts';
import type { LaneTiming } from '../../../shared/wire/lane.ts';
import { type Behaviour, type FakeLane, FakeServerB, welcome } from '../../support/fake-server-b.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { damagePicture, losePicture } from '../../support/stored-pictures.ts';
import { makeLargePicture, makePicture, openTasks, pictureHeader, type TestDispatcher } from '../tasks/support.ts';

const log = createLogger('test', 'silent');
const never = new AbortController().signal;
const PICTURE = Buffer.alloc(1024 * 1024, 7);
const HEADER = pictureHeader('resize', PICTURE.length);
/** For lanes with a manual clock. */
const NO_BEATS: LaneTiming = { beatMs: 10_000_000, deadMs: 10_000_000 };

/** Sends a job's one output and ends the job, unless it is canceled meanwhile. */
async function finish({ wire }: FakeLane): Promise<void> {
  wire.send('OUTPUT', HEADER);
  await wire.sendData(PICTURE, () => wire.state === 'working');
  if (wire.state === 'working') wire.send('DONE', { timings: { decode_ms: 1 } });
}

/** Greets as `instance`, answers GO to every job, and calls `worked` when its body has arrived. */
function taking(overrides: Parameters<typeof welcome>[0], worked: (lane: FakeLane) => void): Behaviour {
  return (lane) => ({
    HELLO: () => lane.wire.send('WELCOME', welcome(overrides)),
    JOB: () => lane.wire.signal('GO'),
    DATA: () => {
      if (lane.wire.state === 'working') worked(lane);
    },
    CANCEL: () => lane.wire.send('FAIL', { code: 'CANCELED', message: 'canceled' }),
  });
}

interface Options {
  readonly timing?: LaneTiming;
  readonly records?: TaskRecords;
  readonly clock?: Clock;
  readonly suspectBackend?: OnDemandBackend;
}

const obedient: Behaviour = taking({}, (lane) => void finish(lane));

describe('dispatcher', () => {
  let folder: string;
  let picture: Buffer;
  let tasks: Tasks<TestDispatcher>;
  let fake: FakeServerB;
  let dispatcher: Dispatcher;

  before(async () => {
    picture = await makePicture();
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-dispatch-'));
    tasks = await openTasks(serverASettings.parse({ dataDir: folder }), log);
  });

  afterEach(async () => {
    await dispatcher.close(0);
    await fake.close();
    await tasks.close();
    await rm(folder, { recursive: true });
  });

  async function start(behaviour: Behaviour, options: Options = {}): Promise<void> {
    fake = await FakeServerB.open(behaviour);
    dispatch(options);
  }

  function dispatch(options: Options): void {
    dispatcher = new Dispatcher({
      records: tasks.records,
      backend: fake,
      token: undefined,
      deadlineMs: 5000,
      log,
      ...options,
    });
    tasks.dispatcher.target = dispatcher;
  }

  async function submit(content = picture): Promise<string> {
    const received = await tasks.receive(Readable.from([content]), { filename: null, bytes: null, signal: never });
    return (await tasks.submit(received, [{ name: 'resize', operation: 'resize', scale_factor: 0.5 }])).task_id;
  }

  /** The tasks whose attempts the dispatcher begins from now on, in order. */
  function noteBegins(): string[] {
    const { records } = tasks;
    const begin = records.begin.bind(records);
    const begun: string[] = [];
    records.begin = (id) => {
      begun.push(id);
      return begin(id);
    };
    return begun;
  }

  /** Calls `happens` each time an attempt was begun, before `begin` returns to the dispatcher. */
  function whenBegun(happens: (job: Job) => Promise<void>): void {
    const { records } = tasks;
    const begin = records.begin.bind(records);
    records.begin = async (id) => {
      const job = await begin(id);
      if (job !== null) await happens(job);
      return job;
    };
  }

  const ended = (id: string): Promise<Task> => tasks.wait(id, 15_000, never);

  async function until(condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < 1000 && !condition(); turn += 1) await sleep(10);
    expect(condition()).to.equal(true);
  }

  describe('without failures', () => {
    it('runs a task and keeps its output', async () => {
      await start(obedient);
      const task = await ended(await submit());
      expect(task).to.include({ status: 'completed', attempts: 1 });
      expect(task.outputs[0]).to.include({ name: 'resize', bytes: PICTURE.length });
    });

    it('runs the oldest task first', async () => {
      const ids = [await submit(), await submit(), await submit()];
      await start(obedient);
      for (const id of ids) await ended(id);
      expect(fake.jobs.map((job) => job.id)).to.deep.equal(ids);
    });

    it('opens as many lanes as there are slots', async () => {
      await start(taking({ slots: 3 }, () => {}));
      await until(() => dispatcher.status.lanes === 3);
      await submit();
      await submit();
      await submit();
      await submit();
      await until(() => fake.jobs.length === 3);
    });

    it('shows a model that was installed later', async () => {
      await start(obedient);
      await until(() => dispatcher.status.lanes === 1);
      expect(dispatcher.status.model).to.equal(null);
      for (const { wire } of fake.lanes) wire.send('WELCOME', welcome({ model: 'mobilenetv2' }));
      await until(() => dispatcher.status.model === 'mobilenetv2');
    });
  });

  describe('refusals and failures of Server B', () => {
    it('fail the task with the error of a FAIL', async () => {
      await start(taking({}, ({ wire }) => wire.send('FAIL', { code: 'TIMEOUT', message: 'too slow' })));
      const task = await ended(await submit());
      expect(task.error).to.deep.equal({ code: 'TIMEOUT', message: 'too slow' });
    });

    it('fail the task when a refusal is final', async () => {
      await start((lane) => ({
        HELLO: () => lane.wire.send('WELCOME', welcome()),
        JOB: () => lane.wire.send('REFUSE', { code: 'IMAGE_TOO_LARGE', message: 'too large' }),
      }));
      expect((await ended(await submit())).error?.code).to.equal('IMAGE_TOO_LARGE');
    });

    it('run the task again without a strike after a temporary refusal', async () => {
      let refusals = 0;
      await start((lane) => ({
        ...obedient(lane),
        JOB: () => {
          refusals += 1;
          if (refusals === 1) lane.wire.send('REFUSE', { code: 'DRAINING', message: 'closing' });
          else lane.wire.signal('GO');
        },
      }));
      expect(await ended(await submit())).to.include({ status: 'completed', attempts: 2 });
    });

    it('run the task again without a strike after FAIL CANCELED without a CANCEL', async () => {
      let cancels = 0;
      await start(
        taking({}, (lane) => {
          cancels += 1;
          if (cancels === 1) lane.wire.send('FAIL', { code: 'CANCELED', message: 'canceled' });
          else void finish(lane);
        }),
      );
      expect(await ended(await submit())).to.include({ status: 'completed', attempts: 2 });
    });

    it('fail the task with SPOOL_CORRUPT when the disk damaged the picture', async () => {
      await start((lane) => ({
        ...obedient(lane),
        DATA: () => lane.wire.send('FAIL', { code: 'IMAGE_CORRUPT', message: 'broken' }),
      }));
      whenBegun((job) => damagePicture(folder, `${job.id}.input`, Buffer.alloc(job.bytes)));
      expect((await ended(await submit())).error?.code).to.equal('SPOOL_CORRUPT');
    });

    it('fail the task with IMAGE_CORRUPT when the picture was damaged at upload', async () => {
      await start(taking({}, ({ wire }) => wire.send('FAIL', { code: 'IMAGE_CORRUPT', message: 'broken' })));
      expect((await ended(await submit())).error?.code).to.equal('IMAGE_CORRUPT');
    });

    it('fail a task whose stored input is missing', async () => {
      const id = await submit();
      await losePicture(folder, `${id}.input`);
      await start(obedient, { clock: new ManualClock(), timing: NO_BEATS });
      expect((await ended(id)).error?.code).to.equal('SPOOL_CORRUPT');
      // Dispatch is not paused: a pause would not end, because the clock stands still.
      expect((await ended(await submit())).status).to.equal('completed');
    });

    it('pause dispatch, and no task starts during the pause', async () => {
      const begun = noteBegins();
      let isRefusing = true;
      const clock = new ManualClock();
      await start(
        (lane) => ({
          ...taking({ slots: 2 }, (worked) => void finish(worked))(lane),
          JOB: () => {
            if (isRefusing) lane.wire.send('REFUSE', { code: 'DRAINING', message: 'closing' });
            else lane.wire.signal('GO');
          },
        }),
        { clock, timing: NO_BEATS },
      );
      await until(() => dispatcher.status.lanes === 2);
      const first = await submit();
      await clock.untilSet(500);
      const second = await submit();
      expect(begun).to.have.length(1);
      isRefusing = false;
      clock.advance(500);
      // After the pause, on every free lane at once.
      expect(begun).to.have.length(3);
      for (const id of [first, second]) expect((await ended(id)).status).to.equal('completed');
    });

    it('fail a task whose stored input is removed while it is sent', async () => {
      whenBegun((job) => rm(join(folder, 'spool', `${job.id}.input`)));
      await start(obedient);
      expect((await ended(await submit(makeLargePicture()))).error).to.deep.equal({
        code: 'SPOOL_CORRUPT',
        message: 'The stored input cannot be read (ENOENT).',
      });
    });

    it('are the reported problem when the greeting is refused', async () => {
      await start((lane) => ({
        HELLO: () => {
          lane.wire.send('REFUSE', { code: 'UNAUTHENTICATED', message: "Expected Server B's token, received another" });
          lane.wire.end();
        },
      }));
      await until(() => dispatcher.status.problem === "Expected Server B's token, received another");
      expect(dispatcher.status.lanes).to.equal(0);
    });
  });

  describe('lost lanes', () => {
    it('run the task again, not alone, when the same instance answers (rule 6)', async () => {
      let cuts = 0;
      await start(
        taking({ slots: 2 }, (lane) => {
          cuts += 1;
          if (cuts === 1) lane.socket.resetAndDestroy();
          else void finish(lane);
        }),
      );
      const task = await ended(await submit());
      expect(task).to.include({ status: 'completed', attempts: 2 });
      expect(fake.jobs.map((job) => job.alone)).to.deep.equal([false, false]);
    });

    it('run the task again, not as a suspect, when the lane was lost before GO', async () => {
      let lives = 0;
      await start((lane) => {
        lives += 1;
        const life = `life-${lives}`;
        return {
          ...taking({ instance: life }, (worked) => void finish(worked))(lane),
          JOB: () => (life === 'life-1' ? lane.socket.resetAndDestroy() : lane.wire.signal('GO')),
        };
      });
      expect(await ended(await submit())).to.include({ status: 'completed', attempts: 2 });
      expect(fake.jobs.map((job) => job.alone)).to.deep.equal([false, false]);
    });

    it('run the task again after a silent lane was closed (rule 2)', async () => {
      let taken = 0;
      const deafAndDumb = { beatMs: 1_000_000, deadMs: 1_000_000 };
      fake = await FakeServerB.open(
        (lane) => ({
          ...obedient(lane),
          JOB: () => {
            taken += 1;
            if (taken > 1) lane.wire.signal('GO');
          },
        }),
        deafAndDumb,
      );
      dispatch({ timing: { beatMs: 40, deadMs: 200 } });
      expect(await ended(await submit())).to.include({ status: 'completed', attempts: 2 });
    });

    it('run the task again after a lane broke the protocol and was closed', async () => {
      const lies = [
        (lane: FakeLane) => lane.socket.write(encodeHeader('GO', 0)),
        (lane: FakeLane) => lane.socket.write(encodeHeader('DATA', 10)),
        (lane: FakeLane) => lane.socket.write(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')),
        (lane: FakeLane) => {
          lane.wire.send('OUTPUT', pictureHeader('resize', 10));
          lane.socket.write(encodeHeader('DONE', 2));
        },
      ];
      let told = 0;
      await start(
        taking({}, (lane) => {
          const lie = lies[told];
          told += 1;
          if (lie === undefined) void finish(lane);
          else lie(lane);
        }),
      );
      expect(await ended(await submit())).to.include({ status: 'completed', attempts: lies.length + 1 });
    });
  });

  describe('suspects', () => {
    /** A Server B that drops all its lanes when `isFatal` is true for its jobs, and restarts as another instance. */
    function mortal(slots: number, isFatal: (jobs: readonly string[]) => boolean): Behaviour {
      let life = 1;
      let inHand: { lane: FakeLane; id: string }[] = [];
      return (lane) => {
        const born = life;
        return {
          HELLO: () => lane.wire.send('WELCOME', welcome({ instance: `life-${born}`, slots })),
          JOB: (job) => {
            inHand.push({ lane, id: job.id });
            lane.wire.signal('GO');
          },
          DATA: () => {
            if (lane.wire.state !== 'working') return;
            if (isFatal(inHand.map(({ id }) => id))) {
              life += 1;
              inHand = [];
              fake.cut();
              return;
            }
            setTimeout(() => {
              if (lane.wire.closed) return;
              inHand = inHand.filter((one) => one.lane !== lane);
              void finish(lane);
            }, 20);
          },
        };
      };
    }

    it('run alone, and after three strikes only the one that crashes Server B fails', async () => {
      const harmless = [await submit(), await submit()];
      const killer = await submit();
      const later = await submit();
      await start(mortal(3, (jobs) => jobs.includes(killer)));
      const end = await ended(killer);
      expect(end.error?.code).to.equal('WORKER_CRASHED');
      for (const id of [...harmless, later]) expect((await ended(id)).status).to.equal('completed');
      expect(end.attempts).to.be.at.least(4);
      const alone = fake.jobs.filter((job) => job.alone).map((job) => job.id);
      expect(alone.filter((id) => id === killer)).to.have.length(3);
    });

    it('that crash alone wait behind the tasks that waited meanwhile', async () => {
      const killer = await submit();
      const others = [await submit(), await submit()];
      await start(mortal(1, (jobs) => jobs.includes(killer)));
      expect((await ended(killer)).error?.code).to.equal('WORKER_CRASHED');
      // Once beside others, and once alone as a new suspect; then the others have their turn.
      expect(fake.jobs.map((job) => job.id)).to.deep.equal([killer, killer, ...others, killer, killer]);
    });

    describe('with a Server B for them', () => {
      let aside: FakeServerB;
      /** What the dispatcher wanted of it, each change once. */
      let wants: boolean[];

      /** Both Server Bs run as `behaviour` says. The one for suspects has an address only while it is wanted. */
      async function startBoth(main: Behaviour, suspects: Behaviour): Promise<void> {
        aside = await FakeServerB.open(suspects);
        wants = [];
        let changed = () => {};
        const suspectBackend: OnDemandBackend = {
          get address() {
            return wants.at(-1) === true ? aside.address : null;
          },
          onChange: (listener) => {
            changed = listener;
          },
          want: (isWanted) => {
            if (isWanted === (wants.at(-1) ?? false)) return;
            wants.push(isWanted);
            queueMicrotask(() => changed());
          },
        };
        await start(main, { suspectBackend });
      }

      afterEach(() => aside.close());

      it('run there alone, while all other tasks go on', async () => {
        const suspect = await submit();
        let isFirst = true;
        let held: FakeLane | undefined;
        await startBoth(
          taking({}, (lane) => {
            if (isFirst) lane.wire.send('FAIL', { code: 'WORKER_CRASHED', message: 'the thread ended' });
            else void finish(lane);
            isFirst = false;
          }),
          taking({ instance: 'aside' }, (lane) => {
            held = lane;
          }),
        );
        await until(() => held !== undefined);
        for (const id of [await submit(), await submit()]) expect((await ended(id)).status).to.equal('completed');
        expect(aside.jobs.map(({ id, alone }) => ({ id, alone }))).to.deep.equal([{ id: suspect, alone: true }]);
        expect(wants).to.deep.equal([true]);
        if (held !== undefined) await finish(held);
        expect((await ended(suspect)).status).to.equal('completed');
        await until(() => wants.length === 2);
        expect(wants).to.deep.equal([true, false]);
      });

      it('is wanted as soon as a job is in doubt, and no more when its lane alone was lost', async () => {
        await startBoth(
          taking({}, (lane) => {
            if (lane.number === 0) lane.socket.resetAndDestroy();
            else void finish(lane);
          }),
          obedient,
        );
        expect((await ended(await submit())).status).to.equal('completed');
        expect([wants, aside.jobs]).to.deep.equal([[true, false], []]);
      });
    });

    it('complete when they run alone without a crash', async () => {
      const ids = [await submit(), await submit()];
      await start(mortal(2, (jobs) => jobs.length === 2));
      for (const id of ids) expect(await ended(id)).to.include({ status: 'completed' });
    });

    it('stay suspects after a restart of Server A', async () => {
      const id = await submit();
      const job = await tasks.records.begin(id);
      if (job === null) throw new Error('the task did not begin');
      await tasks.records.release(job, true);
      await start(obedient);
      await ended(id);
      expect(fake.jobs[0]).to.include({ id, alone: true });
    });

    it('start only when no other task runs', async () => {
      const begun = noteBegins();
      const clock = new ManualClock();
      const answers = ['FAIL', 'REFUSE'];
      await start(
        (lane) => ({
          ...taking({ slots: 2 }, (worked) => void finish(worked))(lane),
          JOB: () => {
            const answer = answers.shift();
            if (answer === 'FAIL') lane.wire.send('FAIL', { code: 'WORKER_CRASHED', message: 'the thread ended' });
            else if (answer === 'REFUSE') lane.wire.send('REFUSE', { code: 'DRAINING', message: 'closing' });
            else lane.wire.signal('GO');
          },
        }),
        { clock, timing: NO_BEATS },
      );
      await until(() => dispatcher.status.lanes === 2);
      const suspect = await submit();
      await clock.untilSet(500);
      const other = await submit();
      clock.advance(500);
      expect(begun).to.deep.equal([suspect, suspect, suspect]);
      for (const id of [suspect, other]) expect((await ended(id)).status).to.equal('completed');
    });

    it('include the jobs of a thread that died', async () => {
      let crashes = 0;
      await start(
        taking({}, (lane) => {
          crashes += 1;
          if (crashes < 3) lane.wire.send('FAIL', { code: 'WORKER_CRASHED', message: 'the thread ended' });
          else void finish(lane);
        }),
      );
      expect(await ended(await submit())).to.include({ status: 'completed', attempts: 3 });
      expect(fake.jobs.map((job) => job.alone)).to.deep.equal([false, true, true]);
    });
  });

  describe('cancel', () => {
    it('prevents the attempt of a waiting task', async () => {
      const begun = noteBegins();
      const held: FakeLane[] = [];
      await start(taking({}, (lane) => held.push(lane)));
      const first = await submit();
      await until(() => held.length === 1);
      const second = await submit();
      const third = await submit();
      await tasks.cancel(second);
      for (const [index, id] of [first, third].entries()) {
        await until(() => held.length === index + 1);
        for (const lane of held.slice(index)) await finish(lane);
        expect((await ended(id)).status).to.equal('completed');
      }
      expect(begun).to.deep.equal([first, third]);
    });

    it('prevents the job of a task whose attempt is being written', async () => {
      const canceled: string[] = [];
      whenBegun(async ({ id }) => {
        if (canceled.push(id) === 1) await tasks.cancel(id);
      });
      await start(obedient);
      const first = await submit();
      expect((await ended(first)).status).to.equal('canceled');
      const second = await submit();
      expect((await ended(second)).status).to.equal('completed');
      expect(fake.jobs.map((job) => job.id)).to.deep.equal([second]);
    });

    it('stops the job of a running task, and the lane runs the next job', async () => {
      let isFirst = true;
      let canceled = 0;
      await start((lane) => ({
        ...taking({}, (worked) => {
          if (!isFirst) void finish(worked);
          isFirst = false;
        })(lane),
        CANCEL: () => {
          canceled += 1;
          lane.wire.send('FAIL', { code: 'CANCELED', message: 'canceled' });
        },
      }));
      const id = await submit();
      await until(() => fake.jobs.length === 1);
      expect((await tasks.cancel(id)).status).to.equal('canceled');
      expect((await ended(await submit())).status).to.equal('completed');
      expect(canceled).to.equal(1);
      expect(fake.lanes).to.have.length(1);
      expect(tasks.get(id).status).to.equal('canceled');
    });
  });

  describe('a full disk (rule 8)', () => {
    it('puts the task back and pauses dispatch, which resumes when there is room', async () => {
      let failures = 2;
      const records: TaskRecords = Object.create(tasks.records);
      records.waiting = () => [];
      const full = () => Promise.reject(new DarkroomError('STORAGE_FULL', 'no room'));
      records.createOutput = async (job: Job, name) => {
        const file = await tasks.records.createOutput(job, name);
        if (failures === 0) return file;
        failures -= 1;
        return { ...file, write: full };
      };
      for (const name of ['begin', 'readInput', 'complete', 'fail', 'release', 'crashedAlone'] as const) {
        Object.defineProperty(records, name, { value: tasks.records[name].bind(tasks.records) });
      }
      await start(obedient, { records });
      const task = await ended(await submit());
      expect(task).to.include({ status: 'completed', attempts: 3 });
      expect(failures).to.equal(0);
    });
  });

  describe('temporary failures to write records', () => {
    for (const [name, failing, attempts] of [
      ['the beginning of an attempt', ['begin'], 1],
      ['the end of a task', ['complete'], 2],
      ['the end of a task and its release', ['complete', 'release'], 2],
    ] as const) {
      it(`do not prevent the end of a task: ${name}`, async () => {
        let failures = 2 * failing.length;
        const records: TaskRecords = Object.create(tasks.records);
        records.waiting = () => [];
        for (const method of [
          'begin',
          'readInput',
          'createOutput',
          'complete',
          'fail',
          'release',
          'crashedAlone',
        ] as const) {
          const write = tasks.records[method].bind(tasks.records);
          const isFailing = failing.some((one) => one === method);
          const value = (...parameters: Parameters<typeof write>) => {
            if (!isFailing || failures === 0) return Reflect.apply(write, tasks.records, parameters);
            failures -= 1;
            return Promise.reject(new DarkroomError('STORAGE_FULL', 'no room'));
          };
          Object.defineProperty(records, method, { value });
        }
        await start(obedient, { records });
        const task = await ended(await submit());
        expect(task.status).to.equal('completed');
        expect(task.attempts).to.be.at.least(attempts);
        expect(failures).to.equal(0);
        expect(tasks.counts()).to.include({ pending: 0, processing: 0 });
      });
    }
  });

  describe('close', () => {
    it('lets running tasks finish and leaves the others pending', async () => {
      const held: FakeLane[] = [];
      await start(taking({}, (lane) => held.push(lane)));
      const first = await submit();
      const second = await submit();
      await until(() => held.length === 1);
      const closing = dispatcher.close(5000);
      for (const lane of held) await finish(lane);
      await closing;
      expect(tasks.get(first).status).to.equal('completed');
      expect(tasks.get(second)).to.include({ status: 'pending', attempts: 0 });
    });

    it('does not run a job whose attempt was written meanwhile', async () => {
      let closing: Promise<void> | undefined;
      whenBegun(async () => {
        closing ??= dispatcher.close(5000);
      });
      await start(obedient);
      const id = await submit();
      await until(() => closing !== undefined);
      await closing;
      expect(tasks.get(id)).to.include({ status: 'pending', attempts: 1 });
      expect(fake.jobs).to.deep.equal([]);
    });

    it('makes tasks that do not finish in time pending again', async () => {
      await start(taking({}, () => {}));
      const id = await submit();
      await until(() => fake.jobs.length === 1);
      await dispatcher.close(50);
      expect(tasks.get(id)).to.include({ status: 'pending', attempts: 1 });
    });
  });
});
