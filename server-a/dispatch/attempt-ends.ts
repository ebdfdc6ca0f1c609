import { createHash } from 'node:crypto';
import type { ErrorDescription } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Attempt } from './attempt.ts';
import type { BackOff } from './back-off.ts';
import type { Job, TaskRecords } from './contract.ts';
import type { JobOutcome } from './lane-client.ts';
import type { Schedule } from './schedule.ts';
import { trace } from './trace.ts';
import { type Answer, isEndedByJob, judge, type Verdict } from './verdict.ts';

/** Bytes of an input that are read and hashed at a time. */
const HASHED_BYTES = 64 * 1024;

export interface AttemptEndsOptions {
  readonly records: Pick<TaskRecords, 'complete' | 'fail' | 'crashedAlone' | 'readInput'>;
  readonly schedule: Pick<Schedule, 'release' | 'putBehind'>;
  readonly backOff: Pick<BackOff, 'record' | 'pause' | 'reset'>;
  readonly log: Logger;
}

/** An attempt past GO whose lane was lost, and the instance that had the job. */
interface Doubt {
  readonly attempt: Attempt;
  readonly instance: string;
}

/** Records how each attempt ended. Keeps attempts in doubt until an instance of Server B answers. */
export class AttemptEnds {
  readonly #options: AttemptEndsOptions;
  readonly #doubts = new Map<string, Doubt>();

  constructor(options: AttemptEndsOptions) {
    this.#options = options;
  }

  /** The number of attempts whose job may still run on a Server B that cannot be reached. */
  get inDoubt(): number {
    return this.#doubts.size;
  }

  /**
   * Writes what the outcome means for the task. `answer` is the last WELCOME of Server B, null before the first one.
   * Rejects when the records cannot be written; the task then runs again after a pause.
   */
  async settle(attempt: Attempt, outcome: JobOutcome, answer: Answer | null): Promise<void> {
    const { job, mode } = attempt;
    await this.#options.backOff.record(job, mode, () => this.#apply(attempt, judge(outcome, answer)));
  }

  /**
   * Settles the attempts in doubt when an instance answers. If the attempt ran on this instance, only its lane was
   * lost; if it ran on another instance, that one has ended. Rejects like {@link settle}.
   */
  async settleDoubts(answer: Answer): Promise<void> {
    const doubts = [...this.#doubts.values()];
    this.#doubts.clear();
    await Promise.all(doubts.map((doubt) => this.#settleDoubt(doubt, answer)));
  }

  /** Makes the tasks in doubt pending again. If the write fails, recovery at the next start does it. */
  async releaseDoubts(): Promise<void> {
    const { schedule, log } = this.#options;
    for (const { attempt } of this.#doubts.values()) {
      await schedule.release(attempt.job, attempt.mode).catch((error: unknown) => {
        log.error({ err: error, task_id: attempt.job.id }, 'a job in doubt was not released');
      });
    }
  }

  #settleDoubt({ attempt, instance: lost }: Doubt, answer: Answer): Promise<void> {
    const { schedule, backOff } = this.#options;
    const { job, mode } = attempt;
    if (lost === answer.instance) return backOff.record(job, mode, () => schedule.release(job, mode));
    return backOff.record(job, 'alone', () => this.#crashed(attempt, isEndedByJob(lost, answer)));
  }

  async #apply(attempt: Attempt, verdict: Verdict): Promise<void> {
    const { records } = this.#options;
    const { job } = attempt;
    trace(job.id, 'has the verdict', verdict.kind);
    switch (verdict.kind) {
      case 'complete':
        return this.#complete(attempt, verdict.received);
      case 'fail':
        await records.fail(job, verdict.error);
        return;
      case 'check-input':
        await records.fail(job, await this.#checkInput(job, verdict.error));
        return;
      case 'again':
        return this.#again(attempt, verdict.pause);
      case 'stopped':
        this.#options.log.error(
          { err: verdict.error, task_id: job.id },
          'Server A failed while it ran a job; the task runs again',
        );
        return this.#again(attempt, 'Server A failed while it ran a job');
      case 'crashed':
        return this.#crashed(attempt, verdict.isByJob);
      case 'doubt':
        this.#doubts.set(job.id, { attempt, instance: verdict.instance });
    }
  }

  async #complete(attempt: Attempt, received: Extract<JobOutcome, { kind: 'done' }>): Promise<void> {
    const { outputs, timings, warnings } = received;
    const { records, backOff } = this.#options;
    try {
      await records.complete(attempt.job, await outputs.commit(), timings, warnings);
      backOff.reset();
    } catch (error) {
      await outputs.discard();
      await this.#apply(attempt, judge({ kind: 'stopped', error }, null));
    }
  }

  async #again({ job, mode }: Attempt, pause: string | null): Promise<void> {
    await this.#options.schedule.release(job, mode);
    if (pause !== null) this.#options.backOff.pause(pause);
  }

  /** Returns `error`, or SPOOL_CORRUPT when the hash of the stored input has changed since the upload. */
  async #checkInput(job: Job, error: ErrorDescription): Promise<ErrorDescription> {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(job.bytes, HASHED_BYTES));
    for await (const piece of this.#options.records.readInput(job, buffer)) hash.update(piece);
    if (hash.digest('hex') === job.sha256) return error;
    return { code: 'SPOOL_CORRUPT', message: 'The stored input has changed on disk since it was accepted.' };
  }

  /** Marks the task as a suspect. A task that was a suspect already ran alone: it may have caused the end by itself. */
  async #crashed({ job, mode }: Attempt, isByJob: boolean): Promise<void> {
    const { records, schedule, log } = this.#options;
    log.warn(
      { task_id: job.id, attempt: job.attempt, alone: mode === 'alone', by_job: isByJob },
      'Server B ended while it ran this job',
    );
    if (mode === 'shared') return schedule.release(job, 'alone');
    if ((await records.crashedAlone(job, isByJob)) === 'pending') schedule.putBehind(job.id);
  }
}
