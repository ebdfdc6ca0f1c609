import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { JobLane, type JobOutcome } from '../../../server-a/dispatch/job-lane.ts';
import type { Job, OutputFile } from '../../../server-a/dispatch/ledger.ts';
import type { OutputStore } from '../../../server-a/dispatch/output-receiver.ts';
import { type Behaviour, type FakeLane, FakeServerB, welcome } from '../../support/fake-server-b.ts';
import { SMALL_HEADER } from '../../support/wire-client.ts';
import { pictureHeader } from '../tasks/support.ts';

const BODY = Buffer.alloc(1000, 1);
/** More than a lane takes before it holds Server B back. */
const PICTURE = Buffer.alloc(4 * 1024 * 1024, 7);
const HEADER = pictureHeader('resize', PICTURE.length);
/** Together the milliseconds for which nothing of an outcome need come. */
const DEADLINE_MS = 200;
const OVERDUE_MS = 800;

describe('job lane', () => {
  let folder: string;
  let fake: FakeServerB;
  let lane: JobLane;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-job-lane-'));
    await writeFile(join(folder, 'input'), BODY);
  });
  afterEach(async () => {
    lane.close();
    await fake.close();
    await rm(folder, { recursive: true });
  });

  /** Says GO to every job and calls `worked` when its body is in. */
  function taking(worked: (lane: FakeLane) => void): Behaviour {
    return (one) => ({
      HELLO: () => one.wire.send('WELCOME', welcome()),
      JOB: () => one.wire.signal('GO'),
      DATA: () => {
        if (one.wire.state === 'working') worked(one);
      },
    });
  }

  /** A lane that has been greeted; `beforeWrite` is waited for before each write of an output. */
  async function connect(behaviour: Behaviour, beforeWrite = () => Promise.resolve()): Promise<void> {
    fake = await FakeServerB.open(behaviour);
    const outputs: OutputStore = { createOutput: (job, name) => createOutput(`${job.id}.${name}`, beforeWrite) };
    await new Promise<void>((resolve) => {
      const greeted = () => resolve();
      lane = new JobLane(fake.address, {
        token: undefined,
        outputs,
        overdueMs: OVERDUE_MS,
        welcomed: greeted,
        closed: greeted,
      });
    });
  }

  async function createOutput(name: string, beforeWrite: () => Promise<void>): Promise<OutputFile> {
    const handle = await open(join(folder, name), 'wx');
    return {
      write: async (chunk) => {
        await beforeWrite();
        await handle.writeFile(chunk);
      },
      commit: () => handle.close().then(() => 'sha256'),
      discard: () => handle.close(),
    };
  }

  function run(changes: Partial<Job> = {}): Promise<JobOutcome> {
    const job: Job = {
      id: 'V1StGXR8_Z5jdHi6B-myT',
      attempt: 1,
      specs: [{ name: 'resize', operation: 'resize', scale_factor: 0.5 }],
      header: SMALL_HEADER,
      path: join(folder, 'input'),
      bytes: BODY.length,
      sha256: '',
      ...changes,
    };
    return lane.run({ job, mode: 'shared' }, DEADLINE_MS);
  }

  async function finish({ wire }: FakeLane): Promise<void> {
    wire.send('OUTPUT', HEADER);
    await wire.sendData(PICTURE, () => wire.state === 'working');
    if (wire.state === 'working') wire.send('DONE', { timings: {} });
  }

  it('gives a Server B up that beats and gives nothing', async () => {
    await connect(taking(() => undefined));
    expect(await run()).to.include({ kind: 'lost', isPastGo: true });
    expect(lane.isOpen).to.equal(false);
  });

  it('gives a Server B up that stops in the middle of an output', async () => {
    await connect(
      taking(({ wire }) => {
        wire.send('OUTPUT', HEADER);
        void wire.sendData(PICTURE.subarray(0, 1000));
      }),
    );
    expect(await run()).to.include({ kind: 'lost', isPastGo: true });
  });

  it('gives no Server B up while this side is slow to write what it gives', async () => {
    let writes = 0;
    await connect(
      taking((one) => void finish(one)),
      // Slow all the time, and at first so slow that nothing is read for longer than Server B may take.
      () => sleep(writes++ === 0 ? 2 * (DEADLINE_MS + OVERDUE_MS) : 5),
    );
    const outcome = await run();
    expect(outcome.kind).to.equal('done');
    if (outcome.kind === 'done') await outcome.outputs.commit();
    expect(lane.isFree).to.equal(true);
  });

  it('gives no Server B up that gives its outputs slowly', async () => {
    const step = PICTURE.length / 8;
    await connect(
      taking(async ({ wire }) => {
        wire.send('OUTPUT', HEADER);
        for (let sent = 0; sent < PICTURE.length && !wire.closed; sent += step) {
          await sleep((DEADLINE_MS + OVERDUE_MS) / 4);
          await wire.sendData(PICTURE.subarray(sent, sent + step));
        }
        wire.send('DONE', { timings: {} });
      }),
    );
    const outcome = await run();
    expect(outcome.kind).to.equal('done');
    if (outcome.kind === 'done') await outcome.outputs.commit();
  });

  it('is free for the next job after one that cannot be offered', async () => {
    await connect(taking((one) => void finish(one)));
    const outcome = await run({ id: 'x'.repeat(70_000) });
    expect(outcome.kind).to.equal('stopped');
    expect(lane.isFree).to.equal(true);
    const next = await run();
    expect(next.kind).to.equal('done');
    if (next.kind === 'done') await next.outputs.commit();
  });
});
