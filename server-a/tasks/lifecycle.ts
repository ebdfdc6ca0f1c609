import type { ErrorDescription } from '../../shared/errors.ts';
import { failpoint } from '../../shared/failpoint.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import type { Logger } from '../../shared/log.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { Box } from '../../shared/snippet.ts';
import { hasEnded, type Task, type TaskStatus, type Timings } from '../../shared/task.ts';
import type { Job, OutputFile, QueuedTask, StoredOutput, TaskRecords } from '../dispatch/contract.ts';
import type { Admission } from '../intake/admission.ts';
import type { ReceivedPicture } from '../intake/receive.ts';
import { AttemptFiles } from '../spool/attempt-files.ts';
import { inputName, outputName, type Spool } from '../spool/spool.ts';
import { listedTask, pictureOf, type TaskRow, toTask } from '../store/row.ts';
import type { ChangedRow } from '../store/statements.ts';
import type { Store } from '../store/store.ts';
import type { System } from '../system.ts';
import type { Outbox } from './outbox.ts';
import type { Watchers } from './watchers.ts';

/** The strike at which a task is given up. */
const MOST_STRIKES = 3;
const CRASHED: ErrorDescription = {
  code: 'WORKER_CRASHED',
  message: `Expected a picture that can be processed, received one that ended its worker ${MOST_STRIKES} times`,
};
const NO_OUTPUTS: ErrorDescription = { code: 'INTERNAL', message: 'Expected at least one output, received none' };

/** What the lifecycle works on. */
export interface LifecycleParts {
  readonly store: Store;
  readonly spool: Spool;
  readonly admission: Admission;
  readonly watchers: Watchers;
  readonly outbox: Outbox;
  /** Milliseconds for which outputs are kept after a task's end. */
  readonly keepMs: number;
  readonly system: System;
  readonly log: Logger;
}

/** A picture that becomes a task; its input file has its name in the spool. */
export interface NewTask {
  readonly id: string;
  readonly filename: string | null;
  readonly header: ImageHeader;
  readonly bytes: number;
  readonly sha256: string;
  readonly specs: readonly OutputSpec[];
  readonly keep: Keep | null;
}

/** For how long a task's picture is kept; without a time, with its boxes until its snippet has a newer one. */
export type Keep = { readonly until: number } | { readonly snippet: number; readonly boxes: readonly Box[] };

/** How a task ends. */
interface End {
  readonly status: 'completed' | 'failed' | 'canceled';
  readonly outputs: readonly StoredOutput[];
  readonly error: ErrorDescription | null;
  readonly timings: Timings;
}

/**
 * Every change of a task's state, with what follows from it: files that go, the place in the queue that becomes free,
 * watchers that are told. The store decides each change by compare-and-set; the rest happens only when it said yes.
 */
export class Lifecycle implements TaskRecords {
  readonly #parts: LifecycleParts;
  readonly #files = new AttemptFiles();

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
  }

  get #now(): number {
    return this.#parts.system.clock.now();
  }

  waiting(): QueuedTask[] {
    return this.#parts.store.waiting();
  }

  /** Writes the task down. It has the place in the queue that its picture held. */
  async insert(task: NewTask): Promise<void> {
    const { id, filename, bytes, sha256, keep } = task;
    const header = JSON.stringify(task.header);
    const specs = JSON.stringify(task.specs);
    const original_kept = keep === null ? 0 : 1;
    const original_expires_at = keep !== null && 'until' in keep ? keep.until : null;
    const snippet = keep !== null && 'snippet' in keep ? keep.snippet : null;
    const boxes = keep !== null && 'snippet' in keep ? JSON.stringify(keep.boxes) : null;
    const kept = { original_kept, original_expires_at, snippet, boxes } as const;
    const parameters = { id, filename, header, bytes, sha256, specs, ...kept, now: this.#now };
    await this.#parts.store.write({ statement: 'insert', parameters });
  }

  /** Writes down a task for each URL, all or none. Throws QUEUE_FULL, STORAGE_FULL and DRAINING. */
  async insertListed(urls: readonly string[], specs: readonly OutputSpec[], audience: string | null): Promise<Task[]> {
    const { admission, store, system } = this.#parts;
    const listed = urls.map((url) => ({ id: system.newId(), url }));
    const tasks = JSON.stringify(listed.map(({ id, url }) => [id, url]));
    const now = this.#now;
    admission.list(listed.length, Buffer.byteLength(tasks));
    try {
      const parameters = { tasks, specs: JSON.stringify(specs), audience, now };
      await store.write({ statement: 'insertListed', parameters });
    } catch (error) {
      admission.unlist(listed.length);
      throw error;
    }
    return listed.map(({ id, url }) => listedTask(id, url, now));
  }

  /**
   * A listed task has its picture, whose input file has its name in the spool; false when the task had ended. The
   * task takes over the file and its place in the queue.
   */
  async makeReady(
    id: string,
    { filename, header, bytes, sha256, file, reservation }: ReceivedPicture,
  ): Promise<boolean> {
    const parameters = { id, filename, header: JSON.stringify(header), bytes, sha256 };
    const [changed] = await this.#parts.store.write({ statement: 'makeReady', parameters });
    if (changed === undefined) return false;
    file.keep();
    reservation.handOver();
    this.#parts.admission.unlist(1);
    this.#tell(id);
    return true;
  }

  async begin(id: string): Promise<Job | null> {
    const { store, spool } = this.#parts;
    const row = await this.#readWaiting(id);
    if (row === null) return null;
    const picture = pictureOf(row);
    if (picture === null) return null;
    const { header, bytes, sha256 } = picture;
    const size = await spool.size(inputName(id));
    if (size !== bytes) {
      await this.failWaiting(id, spoolCorrupt(bytes, size));
      return null;
    }
    const [changed] = await store.write({ statement: 'begin', parameters: { id, now: this.#now } });
    if (changed === undefined) return null;
    this.#tell(id);
    return { id, attempt: changed.attempt, specs: row.specs, header, bytes, sha256 };
  }

  readInput({ id }: Job, pieceBytes: number): AsyncIterable<Uint8Array> {
    return this.#parts.spool.read(inputName(id), pieceBytes);
  }

  async createOutput(job: Job, name: string): Promise<OutputFile> {
    if (this.#files.has(job, name)) throw new Error(`Expected one ${name} output an attempt, received a second`);
    const file = await this.#parts.spool.create('output');
    this.#files.add(job, name, file);
    return {
      write: (chunk) => file.write(chunk),
      commit: async () => {
        await file.seal();
        // What comes after the attempt's end must not replace a file that the end named.
        if (this.#isUnderWay(job)) await file.moveTo(outputName(job.id, job.attempt, name));
        return file.sha256;
      },
      discard: () => file.discard(),
    };
  }

  async complete(job: Job, outputs: readonly StoredOutput[], timings: Timings): Promise<boolean> {
    const end = endOf(outputs, timings);
    const pictures = outputs.flatMap(({ header }) => (header.kind === 'picture' ? [header.name] : []));
    return this.#endAttempt(job, end, pictures);
  }

  async fail(job: Job, error: ErrorDescription): Promise<boolean> {
    return this.#endAttempt(job, failure(error), []);
  }

  async release(job: Job, suspect: boolean): Promise<boolean> {
    const { id, attempt } = job;
    const parameters = { id, attempt, suspect: suspect ? 1 : 0 } as const;
    const [changed] = await this.#parts.store.write({ statement: 'release', parameters });
    if (changed !== undefined) this.#tell(id);
    await this.#files.finish(job, []);
    return changed !== undefined;
  }

  async strike(job: Job): Promise<'pending' | 'failed' | 'unchanged'> {
    const { id, attempt } = job;
    const now = this.#now;
    const expires_at = this.#expiry(now);
    const parameters = { id, attempt, most: MOST_STRIKES, error: JSON.stringify(CRASHED), now, expires_at };
    const [changed] = await this.#parts.store.write({ statement: 'strike', parameters });
    if (changed?.status === 'failed') await this.#ended(changed);
    else if (changed !== undefined) this.#tell(id);
    await this.#files.finish(job, []);
    if (changed === undefined) return 'unchanged';
    return changed.status === 'failed' ? 'failed' : 'pending';
  }

  /** pending or processing → canceled; false when the task had ended. */
  async cancel(id: string): Promise<boolean> {
    const end: End = { status: 'canceled', outputs: [], error: null, timings: {} };
    const [changed] = await this.#parts.store.write({ statement: 'endOpen', parameters: this.#endParameters(id, end) });
    if (changed !== undefined) await this.#ended(changed);
    return changed !== undefined;
  }

  /** Removes the record and the files of a task that has ended; false when there is none, or its audience has not been told. */
  async forget(row: TaskRow): Promise<boolean> {
    const [changed] = await this.#parts.store.write({ statement: 'forget', parameters: { id: row.id } });
    if (changed === undefined) return false;
    for (const { header } of row.outputs) {
      if (header.kind === 'picture') await this.#parts.spool.remove(outputName(row.id, row.attempt, header.name));
    }
    if (changed.original_kept === 1) await this.#parts.spool.remove(inputName(row.id));
    return true;
  }

  /** Lets go of all pictures of the snippet but the newest, and of all boxes but those that are drawn in it. */
  async releaseOlder(snippet: number): Promise<void> {
    const { store } = this.#parts;
    const parameters = { snippet, now: this.#now };
    const [released] = await Promise.all([
      store.write({ statement: 'releaseOlder', parameters }),
      store.write({ statement: 'removeBoxes', parameters: { snippet } }),
    ]);
    for (const { id, status } of released) {
      // One that has not ended still needs its picture, and lets go of it at its end.
      if (hasEnded(status)) await this.#parts.spool.remove(inputName(id));
    }
  }

  /** pending → failed; of no effect when the task had moved on. */
  async failWaiting(id: string, error: ErrorDescription): Promise<void> {
    const parameters = this.#endParameters(id, failure(error));
    const [changed] = await this.#parts.store.write({ statement: 'endWaiting', parameters });
    if (changed !== undefined) await this.#ended(changed);
  }

  #isUnderWay({ id, attempt }: Job): boolean {
    const state = this.#parts.store.stateOf(id);
    return state?.status === 'processing' && state.attempt === attempt;
  }

  /** The row of a task that waits, else null. One whose row is damaged ends here: nobody could run it. */
  async #readWaiting(id: string): Promise<TaskRow | null> {
    try {
      const row = this.#parts.store.find(id);
      return row?.status === 'pending' ? row : null;
    } catch (error) {
      this.#parts.log.error({ task_id: id, err: error }, 'a task that cannot be read is given up');
      await this.failWaiting(id, {
        code: 'INTERNAL',
        message: 'Expected a sound task record, received a damaged one',
      });
      return null;
    }
  }

  /** Ends the attempt, and keeps those of its files that the end names when it was the attempt's to give. */
  async #endAttempt(job: Job, end: End, pictures: readonly string[]): Promise<boolean> {
    const parameters = { ...this.#endParameters(job.id, end), attempt: job.attempt };
    const [changed] = await this.#parts.store.write({ statement: 'endAttempt', parameters });
    // Files first: of two ends that race, the one the store took is told first, and must have its files by then.
    const files = this.#files.finish(job, changed === undefined ? [] : pictures);
    await Promise.all([files, changed === undefined ? undefined : this.#ended(changed)]);
    return changed !== undefined;
  }

  #endParameters(id: string, { status, outputs, error, timings }: End) {
    const now = this.#now;
    const hasFiles = outputs.some((output) => output.header.kind === 'picture');
    return {
      id,
      status,
      outputs: JSON.stringify(outputs),
      outputs_kept: hasFiles ? 1 : 0,
      error: error === null ? null : JSON.stringify(error),
      timings: JSON.stringify(timings),
      now,
      expires_at: this.#expiry(now),
    } as const;
  }

  #expiry(now: number): number {
    return now + this.#parts.keepMs;
  }

  /** What follows from a task's end, once that is on disk. */
  async #ended({ id, stage, audience, original_kept }: ChangedRow): Promise<void> {
    const { admission, outbox } = this.#parts;
    if (stage === 'listed') admission.unlist(1);
    else admission.leave();
    this.#tell(id);
    if (audience !== null) outbox.ended(audience, id);
    const published = failpoint('end-published');
    if (published !== undefined) await published;
    if (stage === 'ready' && original_kept === 0) await this.#parts.spool.remove(inputName(id));
  }

  #tell(id: string): void {
    const { watchers, store, log } = this.#parts;
    if (!watchers.isWatched(id)) return;
    try {
      const row = store.find(id);
      if (row !== undefined) watchers.notify(toTask(row));
    } catch (error) {
      log.error({ task_id: id, err: error }, 'watchers were not told of a change');
    }
  }
}

function endOf(outputs: readonly StoredOutput[], timings: Timings): End {
  const status: TaskStatus = outputs.some((output) => output.header.kind !== 'failure') ? 'completed' : 'failed';
  if (status === 'completed') return { status, outputs, error: null, timings };
  const first = outputs[0]?.header;
  return { status, outputs, error: first?.kind === 'failure' ? first.error : NO_OUTPUTS, timings };
}

function failure(error: ErrorDescription): End {
  return { status: 'failed', outputs: [], error, timings: {} };
}

function spoolCorrupt(expected: number, received: number | null): ErrorDescription {
  const found = received === null ? 'no file' : `${received}`;
  return { code: 'SPOOL_CORRUPT', message: `Expected the stored picture to have ${expected} bytes, received ${found}` };
}
