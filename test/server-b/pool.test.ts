import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { findModel } from '../../server-b/model/find.ts';
import { Pool } from '../../server-b/pool.ts';
import { createLogger } from '../../shared/log.ts';
import { FORMATS } from '../../shared/operations/format.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import { KILLERS } from '../support/killer-operations.ts';
import { headerOf, LIMITS, own, plain } from '../support/pictures.ts';
import { leftModel, writeTinyModel } from '../support/tiny-model.ts';

const killers = fileURLToPath(new URL('../support/killer-operations.js', import.meta.url));
const resize: OutputSpec = { name: 'resize', operation: 'resize', scale_factor: 0.5 };
const classify: OutputSpec = { name: 'classify', operation: 'classify', top_k: 1 };
const quiet = createLogger('test', 'silent');
const never = new AbortController().signal;

async function open(
  options: { threads?: number; jobsPerThread?: number; operationsModule?: string } = {},
): Promise<Pool> {
  const { threads = 1, jobsPerThread = 2, operationsModule } = options;
  return Pool.open({ threads, jobsPerThread, limits: LIMITS, operationsModule, log: quiet });
}

async function jobOf(side: number, outputs: OutputSpec[] = [resize]) {
  const body = own(await plain(side, side, '#00ff00'));
  return { id: 'V1StGXR8_Z5jdHi6B-myT', outputs, image: await headerOf(body), body, deadlineMs: 30_000 };
}

describe('Pool', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-pool-'));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  describe('of one thread for one job', () => {
    let pool: Pool;

    before(async () => {
      pool = await open({ jobsPerThread: 1 });
    });

    after(() => pool.close());

    it('runs a job in a thread, and transfers the body there and the picture back', async () => {
      const job = await jobOf(40);
      const outcome = await pool.run(job, never);
      expect(outcome).to.have.nested.property('outputs[0].header.width', 20);
      expect(outcome).to.have.nested.property('outputs[0].picture').that.is.instanceOf(Uint8Array);
      expect(job.body.byteLength).to.equal(0);
    });

    it('lets a running job finish although its signal aborts', async () => {
      const cancel = new AbortController();
      const running = pool.run(await jobOf(1000), cancel.signal);
      setImmediate(() => cancel.abort());
      expect(await running).to.have.property('kind', 'done');
    });

    it('cancels a job whose signal has aborted before', async () => {
      const outcome = await pool.run(await jobOf(40), AbortSignal.abort());
      expect(outcome).to.have.nested.property('error.code', 'CANCELED');
    });

    it('allows only the loaders of the six formats', async () => {
      const job = await jobOf(40);
      const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="9" height="9"/></svg>';
      const outcome = await pool.run({ ...job, body: own(Buffer.from(svg)) }, never);
      expect(outcome).to.have.nested.property('error.code', 'IMAGE_CORRUPT');
      // With its loader, SVG would be told as another format than the header's.
      expect(outcome)
        .to.have.nested.property('error.message')
        .that.matches(/received one that cannot be decoded$/);
      for (const format of FORMATS) {
        const body = own(await plain(40, 40, '#336699', format));
        const done = await pool.run({ ...job, image: await headerOf(body), body }, never);
        expect(done, format).to.have.nested.property('outputs[0].header.format', format);
      }
    });

    it('runs more jobs than it has slots', async () => {
      const jobs = await Promise.all(Array.from({ length: 6 }, (_, index) => jobOf(30 + 2 * index)));
      const outcomes = await Promise.all(jobs.map((job) => pool.run(job, never)));
      for (const [index, outcome] of outcomes.entries()) {
        expect(outcome).to.have.nested.property('outputs[0].header.width', 15 + index);
      }
    });

    it('passes each job the model in use, and fails labels with MODEL_UNAVAILABLE without one', async () => {
      const job = () => jobOf(60, [resize, classify]);
      const without = await pool.run(await job(), never);
      expect(without).to.have.nested.property('outputs[0].header.kind', 'picture');
      expect(without).to.have.nested.property('outputs[1].header.error.code', 'MODEL_UNAVAILABLE');
      const model = await findModel({ model: await writeTinyModel(folder), dataDir: folder });
      pool.useModel(model);
      expect(pool.model).to.equal(model);
      const labelled = await pool.run(await job(), never);
      expect(labelled).to.have.nested.property('outputs[1].header.data.labels[0].label', 'green');
    });

    it('fails only the labels of a model that is damaged after it was found', async () => {
      const path = await writeTinyModel(join(folder, 'broken'), 'broken.onnx', leftModel());
      const model = await findModel({ model: path, dataDir: folder });
      await writeFile(path, 'no model any more');
      pool.useModel(model);
      const outcome = await pool.run(await jobOf(60, [resize, classify]), never);
      expect(outcome).to.have.nested.property('outputs[1].header.error.code', 'MODEL_UNAVAILABLE');
      expect(await pool.run(await jobOf(40), never)).to.have.property('kind', 'done');
    });

    it('cancels a waiting job at once, and runs the next one', async () => {
      const [large, small, smaller] = [await jobOf(1000), await jobOf(40), await jobOf(42)];
      const running = pool.run(large, never);
      const cancel = new AbortController();
      const waiting = pool.run(small, cancel.signal);
      const next = pool.run(smaller, never);
      cancel.abort();
      expect(await waiting).to.have.nested.property('error.code', 'CANCELED');
      expect(await running).to.have.property('kind', 'done');
      expect(await next).to.have.nested.property('outputs[0].header.width', 21);
    });

    it('ends jobs that wait during close as DRAINING', async () => {
      const running = pool.run(await jobOf(1000), never);
      const waiting = pool.run(await jobOf(40), never);
      await pool.close();
      expect(await running).to.have.property('kind', 'done');
      expect(await waiting).to.have.nested.property('error.code', 'DRAINING');
    });
  });

  describe('with operations that misbehave', () => {
    let pool: Pool;

    before(async () => {
      pool = await open({ threads: 2, operationsModule: killers });
    });

    after(() => pool.close());

    it('hides the message of an error that an operation throws, as INTERNAL', async () => {
      const outcome = await pool.run(await jobOf(KILLERS.throws), never);
      expect(outcome).to.have.nested.property('outputs[0].header.error.code', 'INTERNAL');
      expect(JSON.stringify(outcome)).to.not.include('killer');
    });

    it('ends the jobs of a thread that exits as WORKER_CRASHED, and starts a new thread', async () => {
      const outcome = await pool.run(await jobOf(KILLERS.exitsThread), never);
      expect(outcome).to.have.nested.property('error.code', 'WORKER_CRASHED');
      expect(await pool.run(await jobOf(40), never)).to.have.property('kind', 'done');
    });

    it('detects a stalled thread, and closes although it hangs', async () => {
      // A thread that starts has no idle moment, either.
      while (await pool.hasStalledThread()) await pool.run(await jobOf(40), never);
      const hanging = pool.run(await jobOf(KILLERS.hangs), never);
      while (!(await pool.hasStalledThread())) await pool.run(await jobOf(40), never);
      await pool.close();
      expect(await hanging).to.have.nested.property('error.code', 'DRAINING');
    });
  });

  it('closes many times with a loaded session without ending the process', async function () {
    this.timeout(180_000);
    const model = await findModel({ model: await writeTinyModel(folder), dataDir: folder });
    for (let round = 0; round < 3; round += 1) {
      const one = await open({ threads: 2 });
      one.useModel(model);
      await Promise.all([await jobOf(50, [classify]), await jobOf(50, [classify])].map((job) => one.run(job, never)));
      await one.close();
    }
  });

  it('fails to open when the threads cannot start', async () => {
    const error = await open({ operationsModule: join(folder, 'not-there.js') }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(Error);
  });

  it('ends with its process at a native fault in one thread (the killer picture of 13 × 13)', async () => {
    const script = fileURLToPath(new URL('../support/pool-abort.js', import.meta.url));
    const child = spawn(process.execPath, [script], { stdio: 'ignore' });
    const [, signal] = await once(child, 'exit');
    expect(signal).to.equal('SIGABRT');
  });
});
