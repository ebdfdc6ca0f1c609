import { DarkroomError, ERRORS, type ErrorDescription } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { LaneTiming } from '../../shared/wire/lane.ts';
import type { JobLane, JobOutcome } from './job-lane.ts';
import { type Backend, Lanes } from './lanes.ts';
import type { Dispatch, Job, Ledger } from './ledger.ts';
import { WaitingQueue } from './queue.ts';
import { isInputWhole } from './verify-input.ts';

/** First and longest pause after this side could not go on (disk full), in milliseconds; it doubles in between. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** Tasks under way for each lane: one on the lane, one whose outputs are being made durable. */
const RUNNING_PER_LANE = 2;

export interface DispatcherOptions {
  readonly ledger: Ledger;
  readonly backend: Backend;
  readonly token: string | undefined;
  /** Milliseconds a worker may take for one job. */
  readonly deadlineMs: number;
  readonly log: Logger;
  readonly timing?: LaneTiming;
}

/** A task from its dispatch to its end or its return to the queue. */
interface RunningTask {
  readonly isAlone: boolean;
  lane: JobLane | null;
  isCanceled: boolean;
}

/** A job past GO whose lane was lost: the next instance that answers tells whether B died. */
interface JobInDoubt {
  readonly job: Job;
  readonly isAlone: boolean;
  readonly instance: string;
}

/** A job whose outcome the records would not take, as on a full disk. */
interface UnwrittenJob {
  readonly job: Job;
  readonly suspect: boolean;
}

/** What /readyz tells of Server B. */
export interface BackendStatus {
  readonly lanes: number;
  /** Why there is no lane, for people; null when there is one. */
  readonly problem: string | null;
  readonly model: string | null;
}

/**
 * Gives waiting tasks to lanes, oldest first, and writes down how each attempt went. Suspects, jobs that were past GO on
 * an instance that died, run one at a time with nothing beside them; only there a crash counts against a task.
 */
export class Dispatcher implements Dispatch {
  readonly #options: DispatcherOptions;
  readonly #lanes: Lanes;
  readonly #waiting = new WaitingQueue();
  readonly #suspects = new WaitingQueue();
  readonly #running = new Map<string, RunningTask>();
  readonly #inDoubt = new Map<string, JobInDoubt>();
  readonly #unwritten = new Map<string, UnwrittenJob>();
  #pause: NodeJS.Timeout | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  #isDraining = false;
  #idle: (() => void) | null = null;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    for (const { id, suspect } of options.ledger.waiting()) (suspect ? this.#suspects : this.#waiting).add(id);
    this.#lanes = new Lanes({
      backend: options.backend,
      token: options.token,
      outputs: options.ledger,
      log: options.log,
      ...(options.timing === undefined ? {} : { timing: options.timing }),
      answered: (instance) => this.#answered(instance),
    });
  }

  get status(): BackendStatus {
    return { lanes: this.#lanes.openCount, problem: this.#lanes.problem, model: this.#lanes.model };
  }

  enqueue(id: string, suspect: boolean): void {
    (suspect ? this.#suspects : this.#waiting).add(id);
    this.#dispatch();
  }

  cancel(id: string): void {
    this.#waiting.remove(id);
    this.#suspects.remove(id);
    const running = this.#running.get(id);
    if (running === undefined) return;
    running.isCanceled = true;
    running.lane?.cancel(id);
  }

  /**
   * Gives out no more, lets what runs finish within the milliseconds given, and closes the lanes. A job whose release
   * cannot be written is pending again at the next start.
   */
  async close(graceMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#pause !== null) clearTimeout(this.#pause);
    if (this.#running.size > 0) {
      const over = setTimeout(() => this.#lanes.close(), graceMs);
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      clearTimeout(over);
    }
    this.#lanes.close();
    for (const { job, isAlone } of this.#inDoubt.values()) {
      await this.#options.ledger.release(job, isAlone).catch((error: unknown) => {
        this.#options.log.error({ err: error, task_id: job.id }, 'a job in doubt was not released');
      });
    }
  }

  /** Starts what can be started: a suspect when nothing else runs, otherwise as many tasks as there are free lanes. */
  #dispatch(): void {
    if (this.#isDraining || this.#pause !== null) return;
    if (this.#suspects.size > 0) {
      const lane = this.#running.size === 0 && this.#inDoubt.size === 0 ? this.#lanes.free() : undefined;
      const suspect = lane === undefined ? undefined : this.#suspects.shift();
      if (lane !== undefined && suspect !== undefined) this.#start(lane, suspect, true);
      return;
    }
    while (this.#running.size < this.#lanes.openCount * RUNNING_PER_LANE) {
      const lane = this.#lanes.free();
      const id = lane === undefined ? undefined : this.#waiting.shift();
      if (lane === undefined || id === undefined) return;
      this.#start(lane, id, false);
    }
  }

  #start(lane: JobLane, id: string, isAlone: boolean): void {
    const running: RunningTask = { isAlone, lane: null, isCanceled: false };
    this.#running.set(id, running);
    this.#attempt(lane, id, running)
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, task_id: id }, 'attempt failed inside');
        this.#pauseFor('an attempt failed inside');
      })
      .finally(() => {
        this.#running.delete(id);
        if (this.#running.size === 0) this.#idle?.();
        this.#dispatch();
      });
  }

  async #attempt(lane: JobLane, id: string, running: RunningTask): Promise<void> {
    lane.reserve();
    const ran = await this.#run(lane, id, running).finally(() => lane.release());
    if (ran === null) return;
    // The lane takes the next job while this side makes the outputs durable.
    this.#dispatch();
    const { job, outcome } = ran;
    await this.#record(job, running.isAlone, () => this.#conclude(job, running.isAlone, outcome));
  }

  /** One attempt on a reserved lane; null when the task was not to be run after all. */
  async #run(lane: JobLane, id: string, running: RunningTask): Promise<{ job: Job; outcome: JobOutcome } | null> {
    const { ledger, deadlineMs } = this.#options;
    const job = await ledger.begin(id).catch((error: unknown) => {
      (running.isAlone ? this.#suspects : this.#waiting).putBack(id);
      throw error;
    });
    if (job === null) return null;
    if (running.isCanceled || this.#isDraining) {
      await this.#release(job, running.isAlone);
      return null;
    }
    running.lane = lane;
    const outcome = await lane.run(job, { deadlineMs, isAlone: running.isAlone });
    running.lane = null;
    return { job, outcome };
  }

  async #conclude(job: Job, isAlone: boolean, outcome: JobOutcome): Promise<void> {
    switch (outcome.kind) {
      case 'done':
        return this.#complete(job, isAlone, outcome);
      case 'refused':
        return this.#refused(job, isAlone, outcome.error);
      case 'failed':
        return this.#failed(job, isAlone, outcome.error);
      case 'lost':
        return this.#lost({ job, isAlone, instance: outcome.instance }, outcome.isPastGo);
      case 'stopped':
        return this.#stopped(job, isAlone, outcome.error);
      case 'canceled':
        // The task has its end already; the records still want to hear that this attempt is over.
        return this.#release(job, isAlone);
    }
  }

  async #complete(job: Job, isAlone: boolean, outcome: Extract<JobOutcome, { kind: 'done' }>): Promise<void> {
    try {
      const outputs = await outcome.outputs.commit();
      await this.#options.ledger.complete(job, outputs, outcome.timings);
      this.#pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      await outcome.outputs.discard();
      await this.#stopped(job, isAlone, error);
    }
  }

  async #refused(job: Job, isAlone: boolean, error: ErrorDescription): Promise<void> {
    if (ERRORS[error.code].retry === 'no') {
      await this.#options.ledger.fail(job, error);
      return;
    }
    await this.#putOff(job, isAlone, error);
  }

  async #putOff(job: Job, isAlone: boolean, error: ErrorDescription): Promise<void> {
    await this.#release(job, isAlone);
    this.#pauseFor(error.message);
  }

  async #failed(job: Job, isAlone: boolean, error: ErrorDescription): Promise<void> {
    if (error.code === 'WORKER_CRASHED') return this.#crashed(job, isAlone);
    // A cancel that nobody here asked for is B's affair, such as its end.
    if (error.code === 'CANCELED' || ERRORS[error.code].retry === 'later') return this.#putOff(job, isAlone, error);
    await this.#options.ledger.fail(job, await this.#blame(job, error));
  }

  /** A picture that cannot be decoded may have been damaged on our own disk. */
  async #blame(job: Job, error: ErrorDescription): Promise<ErrorDescription> {
    if (error.code !== 'IMAGE_CORRUPT' || (await isInputWhole(job))) return error;
    return { code: 'SPOOL_CORRUPT', message: 'Expected the stored input as it was accepted, received other bytes' };
  }

  async #lost(doubt: JobInDoubt, isPastGo: boolean): Promise<void> {
    if (!isPastGo) return this.#release(doubt.job, doubt.isAlone);
    const { instance } = this.#lanes;
    if (instance !== null && instance !== doubt.instance) return this.#crashed(doubt.job, doubt.isAlone);
    this.#inDoubt.set(doubt.job.id, doubt);
  }

  /** An instance speaks: jobs lost with another one are suspects, jobs lost with this one lost only their lane. */
  #answered(instance: string): void {
    const doubts = [...this.#inDoubt.values()];
    this.#inDoubt.clear();
    Promise.all(
      doubts.map(({ job, isAlone, instance: lost }) =>
        lost === instance
          ? this.#record(job, isAlone, () => this.#release(job, isAlone))
          : this.#record(job, true, () => this.#crashed(job, isAlone)),
      ),
    )
      .catch((error: unknown) => {
        this.#options.log.error({ err: error }, 'jobs in doubt could not be settled');
        this.#pauseFor('jobs in doubt could not be settled');
      })
      .finally(() => this.#dispatch());
  }

  /** The job took a thread or an instance with it, or was beside one that did. */
  async #crashed(job: Job, isAlone: boolean): Promise<void> {
    this.#options.log.warn({ task_id: job.id, attempt: job.attempt, alone: isAlone }, 'crashed');
    if (!isAlone) return this.#release(job, true);
    if ((await this.#options.ledger.strike(job)) === 'pending') this.#suspects.putBack(job.id);
  }

  async #stopped(job: Job, isAlone: boolean, error: unknown): Promise<void> {
    if (error instanceof DarkroomError && error.code === 'SPOOL_CORRUPT') {
      await this.#options.ledger.fail(job, error);
      return;
    }
    this.#options.log.error({ err: error, task_id: job.id }, 'this side could not go on with the job');
    await this.#release(job, isAlone);
    this.#pauseFor('this side could not go on');
  }

  async #release(job: Job, suspect: boolean): Promise<void> {
    if (await this.#options.ledger.release(job, suspect)) (suspect ? this.#suspects : this.#waiting).putBack(job.id);
  }

  /** Writes down how a job went. Where the records would not take it, the job is kept for {@link #resume}. */
  async #record(job: Job, suspect: boolean, write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#unwritten.set(job.id, { job, suspect });
      throw error;
    }
  }

  /** Goes on after a pause. Jobs whose outcome could not be written are put back first: they run once more. */
  async #resume(): Promise<void> {
    try {
      for (const { job, suspect } of this.#unwritten.values()) {
        await this.#release(job, suspect);
        this.#unwritten.delete(job.id);
      }
    } catch (error) {
      this.#options.log.error({ err: error }, 'the records still cannot be written');
      this.#pauseFor('the records still cannot be written');
    }
    this.#dispatch();
  }

  /** Gives out nothing for a while, longer each time until a task completes. */
  #pauseFor(reason: string): void {
    if (this.#pause !== null || this.#isDraining) return;
    this.#options.log.warn({ reason, pause_ms: this.#pauseMs }, 'dispatch pauses');
    this.#pause = setTimeout(() => {
      this.#pause = null;
      void this.#resume();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
