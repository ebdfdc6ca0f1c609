import type { ErrorDescription } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Operation, OperationName } from '../../shared/operations.ts';
import type { ImageHeader, TaskStatus, Timings } from '../../shared/task.ts';
import type { Job, Ledger, OutputFile, QueuedTask, StoredOutput } from '../dispatch/ledger.ts';
import type { Admission } from './admission.ts';
import { AttemptFiles } from './attempt-files.ts';
import { inputName, outputName, type Spool } from './spool.ts';
import type { Store } from './store.ts';
import { type TaskRow, toTask } from './task-record.ts';
import type { Watchers } from './watchers.ts';

/** The strike at which a task is given up. */
const MOST_STRIKES = 3;
const CRASHED: ErrorDescription = {
  code: 'WORKER_CRASHED',
  message: `Expected a picture that can be processed, received one that ended its worker ${MOST_STRIKES} times`,
};
const NO_OUTPUTS: ErrorDescription = { code: 'INTERNAL', message: 'Expected at least one output, received none' };

/** What the ledger works on. */
export interface LedgerParts {
  readonly store: Store;
  readonly spool: Spool;
  readonly admission: Admission;
  readonly watchers: Watchers;
  /** Milliseconds for which outputs are kept after a task's end. */
  readonly keepMilliseconds: number;
  readonly log: Logger;
}

/** A picture that becomes a task; its input file has its name in the spool. */
export interface NewTask {
  readonly id: string;
  readonly filename: string | null;
  readonly header: ImageHeader;
  readonly bytes: number;
  readonly sha256: string;
  readonly operations: readonly Operation[];
}

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
export class TaskLedger implements Ledger {
  readonly #parts: LedgerParts;
  readonly #files = new AttemptFiles();

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  waiting(): QueuedTask[] {
    return this.#parts.store.waiting();
  }

  /** Writes the task down. It has the place in the queue that its picture held. */
  async insert(task: NewTask): Promise<void> {
    const { id, filename, bytes, sha256 } = task;
    const header = JSON.stringify(task.header);
    const operations = JSON.stringify(task.operations);
    const parameters = { id, filename, header, bytes, sha256, operations, now: Date.now() };
    await this.#parts.store.write({ statement: 'insert', parameters });
  }

  async begin(id: string): Promise<Job | null> {
    const { store, spool } = this.#parts;
    const row = await this.#readWaiting(id);
    if (row === null) return null;
    const { operations, header, bytes, sha256 } = row;
    const size = await spool.size(inputName(id));
    if (size !== bytes) {
      await this.#failWaiting(id, spoolCorrupt(bytes, size));
      return null;
    }
    const [changed] = await store.write({ statement: 'begin', parameters: { id, now: Date.now() } });
    if (changed === undefined) return null;
    this.#tell(id);
    return { id, attempt: changed.attempt, operations, header, path: spool.path(inputName(id)), bytes, sha256 };
  }

  async createOutput(job: Job, name: OperationName): Promise<OutputFile> {
    if (this.#files.has(job, name)) throw new Error(`Expected one ${name} output an attempt, received a second`);
    const file = await this.#parts.spool.create();
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
    const now = Date.now();
    const expires_at = this.#expiry(now);
    const parameters = { id, attempt, most: MOST_STRIKES, error: JSON.stringify(CRASHED), now, expires_at };
    const [changed] = await this.#parts.store.write({ statement: 'strike', parameters });
    if (changed?.status === 'failed') await this.#ended(id);
    else if (changed !== undefined) this.#tell(id);
    await this.#files.finish(job, []);
    if (changed === undefined) return 'unchanged';
    return changed.status === 'failed' ? 'failed' : 'pending';
  }

  /** pending or processing → canceled; false when the task had ended. */
  async cancel(id: string): Promise<boolean> {
    const end: End = { status: 'canceled', outputs: [], error: null, timings: {} };
    const [changed] = await this.#parts.store.write({ statement: 'endOpen', parameters: this.#endParameters(id, end) });
    if (changed !== undefined) await this.#ended(id);
    return changed !== undefined;
  }

  /** Removes the record and the outputs of a task that has ended; false when there is none. */
  async forget(row: TaskRow): Promise<boolean> {
    const [changed] = await this.#parts.store.write({ statement: 'forget', parameters: { id: row.id } });
    if (changed === undefined) return false;
    for (const { header } of row.outputs) {
      if (header.kind === 'picture') await this.#remove(row.id, outputName(row.id, row.attempt, header.name));
    }
    return true;
  }

  #isUnderWay({ id, attempt }: Job): boolean {
    const row = this.#parts.store.find(id);
    return row?.status === 'processing' && row.attempt === attempt;
  }

  /** The row of a task that waits, else null. One whose row is damaged ends here: nobody could run it. */
  async #readWaiting(id: string): Promise<TaskRow | null> {
    try {
      const row = this.#parts.store.find(id);
      return row?.status === 'pending' ? row : null;
    } catch (error) {
      this.#parts.log.error({ task_id: id, err: error }, 'a task that cannot be read is given up');
      await this.#failWaiting(id, {
        code: 'INTERNAL',
        message: 'Expected a sound task record, received a damaged one',
      });
      return null;
    }
  }

  async #failWaiting(id: string, error: ErrorDescription): Promise<void> {
    const parameters = this.#endParameters(id, failure(error));
    const [changed] = await this.#parts.store.write({ statement: 'endWaiting', parameters });
    if (changed !== undefined) await this.#ended(id);
  }

  /** Ends the attempt, and keeps those of its files that the end names when it was the attempt's to give. */
  async #endAttempt(job: Job, end: End, pictures: readonly OperationName[]): Promise<boolean> {
    const parameters = { ...this.#endParameters(job.id, end), attempt: job.attempt };
    const [changed] = await this.#parts.store.write({ statement: 'endAttempt', parameters });
    // Files first: of two ends that race, the one the store took is told first, and must have its files by then.
    const files = this.#files.finish(job, changed === undefined ? [] : pictures);
    await Promise.all([files, changed === undefined ? undefined : this.#ended(job.id)]);
    return changed !== undefined;
  }

  #endParameters(id: string, { status, outputs, error, timings }: End) {
    const now = Date.now();
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
    return now + this.#parts.keepMilliseconds;
  }

  /** What follows from a task's end, once that is on disk. */
  async #ended(id: string): Promise<void> {
    this.#parts.admission.leave();
    this.#tell(id);
    await this.#remove(id, inputName(id));
  }

  /** Removes a file that no record owns any more. What the disk will not remove now, the next start sweeps. */
  async #remove(id: string, name: string): Promise<void> {
    try {
      await this.#parts.spool.remove(name);
    } catch (error) {
      this.#parts.log.warn({ task_id: id, err: error, file: name }, 'a file that nobody owns was not removed');
    }
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
