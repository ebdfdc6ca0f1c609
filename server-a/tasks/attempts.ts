import { DarkroomError, describeError, type ErrorDescription } from '../../shared/errors.ts';
import type { Timings } from '../../shared/task.ts';
import type { Job, OutputFile, QueuedTask, StoredOutput, TaskRecords } from '../dispatch/contract.ts';
import { AttemptPictures } from '../pictures/attempt-pictures.ts';
import { type FoundPicture, PictureInMemory } from '../pictures/found-picture.ts';
import { inputName, outputName } from '../spool/spool.ts';
import { pictureOf, type TaskRow } from '../store/row.ts';
import type { Lifecycle, LifecycleParts } from './lifecycle.ts';
import type { Quarantine } from './quarantine.ts';
import { endedWith, endParameters, failedWith, pictureNames, type TaskEnd } from './task-end.ts';

/** The strike at which a task fails. */
const MAX_STRIKES = 3;
/** The end of an instance, while it ran only this task, at which the task fails whatever the cause was. */
const MAX_CRASHES = 20;
const CRASHED: ErrorDescription = {
  code: 'WORKER_CRASHED',
  message: `The picture crashed its worker ${MAX_STRIKES} times.`,
};
const OUTLIVED: ErrorDescription = {
  code: 'WORKER_CRASHED',
  message: `The worker ended ${MAX_CRASHES} times while it ran only this picture.`,
};
const DAMAGED_RECORD: ErrorDescription = { code: 'INTERNAL', message: 'The record of the task is damaged.' };

/** The task records as the dispatcher uses them: attempts begin and end, and their outputs are written. */
export class Attempts implements TaskRecords {
  readonly #parts: Pick<LifecycleParts, 'store' | 'pictures' | 'keepMs' | 'system' | 'log'>;
  readonly #lifecycle: Lifecycle;
  readonly #quarantine: Quarantine;
  readonly #outputs = new AttemptPictures();
  /** The inputs of begun jobs until they are read, so that a small one is read from the store only once. */
  readonly #inputs = new WeakMap<Job, PictureInMemory>();

  constructor(
    parts: Pick<LifecycleParts, 'store' | 'pictures' | 'keepMs' | 'system' | 'log'>,
    lifecycle: Lifecycle,
    quarantine: Quarantine,
  ) {
    this.#parts = parts;
    this.#lifecycle = lifecycle;
    this.#quarantine = quarantine;
  }

  get #now(): number {
    return this.#parts.system.clock.now();
  }

  waiting(): QueuedTask[] {
    return this.#parts.store.waiting();
  }

  async begin(id: string): Promise<Job | null> {
    const { store } = this.#parts;
    const row = await this.#readWaiting(id);
    const picture = row === null ? null : pictureOf(row);
    if (row === null || picture === null) return null;
    const { header, bytes, sha256 } = picture;
    if (await this.#isRefused(id, sha256)) return null;
    const input = await this.#findInput(id, bytes);
    if (input === null) return null;
    const [changed] = await store.write({ statement: 'begin', parameters: { id, now: this.#now } });
    if (changed === undefined) return null;
    this.#lifecycle.changed(id);
    const job: Job = { id, attempt: changed.attempt, specs: row.specs, header, bytes, sha256 };
    if (input instanceof PictureInMemory) this.#inputs.set(job, input);
    return job;
  }

  readInput(job: Job, buffer: Uint8Array): AsyncIterable<Uint8Array> {
    const input = this.#inputs.get(job);
    this.#inputs.delete(job);
    return input?.pieces(buffer.length) ?? this.#parts.pictures.read(inputName(job.id), job.bytes, buffer);
  }

  async createOutput(job: Job, name: string): Promise<OutputFile> {
    if (this.#outputs.has(job, name)) throw new Error(`Expected one ${name} output an attempt, received a second`);
    const picture = this.#parts.pictures.create('output');
    this.#outputs.add(job, name, picture);
    return {
      write: (chunk) => picture.write(chunk),
      commit: async () => {
        await picture.seal();
        // After the attempt's end, a rename could replace a file that the end has named.
        if (picture.isSmall || this.#isCurrent(job)) {
          this.#outputs.placed(job, name, await picture.place(outputName(job.id, job.attempt, name)));
        }
        return picture.sha256;
      },
      discard: () => picture.discard(),
    };
  }

  async complete(
    job: Job,
    outputs: readonly StoredOutput[],
    timings: Timings,
    warnings: readonly string[] = [],
  ): Promise<boolean> {
    return this.#end(job, endedWith(outputs, timings, warnings));
  }

  async fail(job: Job, error: ErrorDescription): Promise<boolean> {
    return this.#end(job, failedWith(error));
  }

  async release(job: Job, suspect: boolean): Promise<boolean> {
    const { id, attempt } = job;
    const parameters = { id, attempt, suspect: suspect ? 1 : 0 } as const;
    const [changed] = await this.#parts.store.write({ statement: 'release', parameters });
    if (changed !== undefined) this.#lifecycle.changed(id);
    await this.#outputs.finish(job, []);
    return changed !== undefined;
  }

  async crashedAlone(job: Job, isStrike: boolean): Promise<'pending' | 'failed' | 'unchanged'> {
    const { id, attempt } = job;
    const now = this.#now;
    const parameters = {
      id,
      attempt,
      strike: isStrike ? 1 : 0,
      most_strikes: MAX_STRIKES,
      most_crashes: MAX_CRASHES,
      crashed: JSON.stringify(CRASHED),
      outlived: JSON.stringify(OUTLIVED),
      now,
      expires_at: now + this.#parts.keepMs,
    } as const;
    const [changed] = await this.#parts.store.write({ statement: 'crashedAlone', parameters });
    if (changed?.status === 'failed') await this.#lifecycle.ended(changed);
    else if (changed !== undefined) this.#lifecycle.changed(id);
    await this.#outputs.finish(job, []);
    if (changed === undefined) return 'unchanged';
    return changed.status === 'failed' ? 'failed' : 'pending';
  }

  /** Fails a task whose picture has crashed Server B in another task since it was accepted. */
  async #isRefused(id: string, sha256: string): Promise<boolean> {
    try {
      this.#quarantine.check(sha256);
      return false;
    } catch (error) {
      await this.#lifecycle.failWaiting(id, describeError(error));
      return true;
    }
  }

  #isCurrent({ id, attempt }: Job): boolean {
    const state = this.#parts.store.stateOf(id);
    return state?.status === 'processing' && state.attempt === attempt;
  }

  /** The row of a pending task, else null. A task whose row is damaged cannot run, so it fails here. */
  async #readWaiting(id: string): Promise<TaskRow | null> {
    try {
      const row = this.#parts.store.find(id);
      return row?.status === 'pending' ? row : null;
    } catch (error) {
      this.#parts.log.error({ task_id: id, err: error }, 'a task fails because its record cannot be read');
      await this.#lifecycle.failWaiting(id, DAMAGED_RECORD);
      return null;
    }
  }

  /** The input of a waiting task. A task whose input is missing or has another size fails here. */
  async #findInput(id: string, bytes: number): Promise<FoundPicture | null> {
    try {
      return await this.#parts.pictures.find(inputName(id), bytes, 'picture');
    } catch (error) {
      if (!(error instanceof DarkroomError)) throw error;
      await this.#lifecycle.failWaiting(id, describeError(error));
      return null;
    }
  }

  /** Ends the attempt. Its outputs are kept only if the end names them and the attempt was still current. */
  async #end(job: Job, end: TaskEnd): Promise<boolean> {
    const parameters = { ...endParameters(job.id, end, this.#now, this.#parts.keepMs), attempt: job.attempt };
    const named = pictureNames(end.outputs);
    const pictures = this.#outputs.rows(job, named);
    const [changed] = await this.#parts.store.write({ statement: 'endAttempt', parameters, pictures });
    // Outputs first: when two ends race, watchers are notified of the winner at once, so its files must be kept by then.
    const outputs = this.#outputs.finish(job, changed === undefined ? [] : named);
    await Promise.all([outputs, changed === undefined ? undefined : this.#lifecycle.ended(changed)]);
    return changed !== undefined;
  }
}
