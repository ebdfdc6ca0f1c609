import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Job } from '../../../server-a/dispatch/contract.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { hasEnded, type Task } from '../../../shared/task.ts';
import { pictureNames } from '../../support/stored-pictures.ts';
import { codeOf, defaultOptions, LABELS, makePicture, openTasks, storeOutput, submitPicture } from './support.ts';

const STEPS = [
  'submit',
  'begin',
  'output',
  'complete',
  'fail',
  'release',
  'suspect',
  'strike',
  'cancel',
  'forget',
  'reopen',
] as const;
type Step = { readonly kind: (typeof STEPS)[number]; readonly pick: number };

/** All tasks have the same picture, so a quarantine would refuse it after the first three strikes. */
const optionsOf = (folder: string) => ({ ...defaultOptions(folder), quarantineHours: 0 });

/** A run of the service: its commands, and the invariants that must hold after each of them. */
class Life {
  readonly #folder: string;
  readonly #picture: Buffer;
  #tasks: Tasks;
  readonly #ids: string[] = [];
  /** Every job that was ever begun; the test uses outdated ones on purpose. */
  readonly #jobs: Job[] = [];
  readonly #ends = new Map<string, Task>();

  private constructor(folder: string, picture: Buffer, tasks: Tasks) {
    this.#folder = folder;
    this.#picture = picture;
    this.#tasks = tasks;
  }

  static async start(folder: string): Promise<Life> {
    return new Life(folder, await makePicture(), await openTasks(optionsOf(folder)));
  }

  close(): Promise<void> {
    return this.#tasks.close();
  }

  async take({ kind, pick }: Step): Promise<void> {
    const { records } = this.#tasks;
    const id = this.#ids[pick % Math.max(1, this.#ids.length)];
    const job = this.#jobs[pick % Math.max(1, this.#jobs.length)];
    if (kind === 'submit') this.#ids.push((await submitPicture(this.#tasks, undefined, this.#picture)).task_id);
    if (kind === 'reopen') await this.#reopen();
    if (id !== undefined && kind === 'begin') await this.#begin(id);
    if (id !== undefined && kind === 'cancel') await this.#tasks.cancel(id);
    if (id !== undefined && kind === 'forget') await this.#forget(id);
    if (job === undefined) return;
    if (kind === 'output') await this.#loseOutput(job);
    if (kind === 'complete') await this.#complete(job);
    if (kind === 'fail') await records.fail(job, { code: 'IMAGE_CORRUPT', message: 'no' });
    if (kind === 'release' || kind === 'suspect') await records.release(job, kind === 'suspect');
    if (kind === 'strike') await records.crashedAlone(job, true);
  }

  async check(): Promise<void> {
    const owned: string[] = [];
    let open = 0;
    for (const id of this.#ids) {
      const task = this.#tasks.get(id);
      const end = this.#ends.get(id);
      if (end !== undefined) expect(task, 'an end is for ever').to.deep.equal(end);
      if (hasEnded(task.status)) this.#ends.set(id, task);
      else open += 1;
      if (!hasEnded(task.status)) owned.push(`${id}.input`);
      for (const { url, name } of task.outputs) if (url !== undefined) owned.push(`${id}.${task.attempts}.${name}`);
    }
    const { pending, processing } = this.#tasks.counts();
    expect(pending + processing).to.equal(open);
    expect(this.#tasks.records.waiting().length).to.equal(pending);
    expect(await pictureNames(this.#folder), 'files on disk are files owned').to.include.members(owned);
  }

  /** Ends every attempt. Then only files that records own may be left. */
  async checkFiles(): Promise<void> {
    for (const job of this.#jobs) await this.#tasks.records.release(job, false);
    const kept = this.#ids.flatMap((id) => {
      const task = this.#tasks.get(id);
      const outputs = task.outputs.flatMap(({ url, name }) =>
        url === undefined ? [] : [`${id}.${task.attempts}.${name}`],
      );
      return hasEnded(task.status) ? outputs : [`${id}.input`];
    });
    expect(await pictureNames(this.#folder)).to.deep.equal(kept.sort());
  }

  async #begin(id: string): Promise<void> {
    const job = await this.#tasks.records.begin(id);
    if (job !== null) this.#jobs.push(job);
  }

  async #complete(job: Job): Promise<void> {
    const output = await storeOutput(this.#tasks, job, Buffer.from('picture'));
    await this.#tasks.records.complete(job, [output, LABELS], { decode_ms: 1 });
  }

  /** Writes an output that no task end will name. */
  async #loseOutput(job: Job): Promise<void> {
    const told = await codeOf(storeOutput(this.#tasks, job, Buffer.from('lost'), 'circle'));
    expect(told).to.be.oneOf(['none', 'Expected one circle output an attempt, received a second']);
  }

  async #forget(id: string): Promise<void> {
    if (!hasEnded(this.#tasks.get(id).status)) return;
    await this.#tasks.forget(id);
    this.#ids.splice(this.#ids.indexOf(id), 1);
    this.#ends.delete(id);
  }

  async #reopen(): Promise<void> {
    await this.#tasks.close();
    this.#tasks = await openTasks(optionsOf(this.#folder));
    expect(this.#tasks.counts().processing).to.equal(0);
  }
}

describe('task lifecycle, for any sequence of events', () => {
  it('ends each task once, and every file on disk has an owner', async function () {
    this.timeout(120_000);
    // A reopen starts a thread, so it is half as frequent as the other steps.
    const kinds = [...STEPS, ...STEPS.filter((kind) => kind !== 'reopen')];
    const step = fc.record({ kind: fc.constantFrom(...kinds), pick: fc.nat(20) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 40 }), async (steps) => {
        const folder = await mkdtemp(join(tmpdir(), 'darkroom-model-'));
        const life = await Life.start(folder);
        try {
          for (const one of steps) {
            await life.take(one);
            await life.check();
          }
          await life.checkFiles();
        } finally {
          await life.close();
          await rm(folder, { recursive: true });
        }
      }),
      { numRuns: 16 },
    );
  });
});
