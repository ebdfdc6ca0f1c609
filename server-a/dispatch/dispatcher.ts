import { type Clock, SYSTEM_CLOCK } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { LANE_TIMING, type LaneTiming } from '../../shared/wire/lane.ts';
import { type Attempt, modeOf, type Turn } from './attempt.ts';
import { AttemptEnds } from './attempt-ends.ts';
import { BackOff } from './back-off.ts';
import type { Dispatch, TaskRecords } from './contract.ts';
import type { JobOutcome, LaneClient } from './lane-client.ts';
import { type Backend, Lanes } from './lanes.ts';
import { Schedule } from './schedule.ts';
import { trace } from './trace.ts';
import type { Answer } from './verdict.ts';

export interface DispatcherOptions {
  readonly records: TaskRecords;
  readonly backend: Backend;
  readonly token: string | undefined;
  /** Milliseconds a worker may spend on one job. */
  readonly deadlineMs: number;
  readonly log: Logger;
  /** Default: {@link LANE_TIMING}. */
  readonly timing?: LaneTiming;
  /** Default: the system's clock. */
  readonly clock?: Clock;
}

/** A task from its dispatch until its attempt is settled. */
interface RunningTask extends Turn {
  /** The lane that runs its job; null before and after. */
  lane: LaneClient | null;
  isCanceled: boolean;
}

/** The state of Server B for /readyz. */
export interface BackendStatus {
  readonly lanes: number;
  /** Why no lane is open, in words; null when a lane is open. */
  readonly problem: string | null;
  readonly model: string | null;
}

/**
 * Runs waiting tasks on lanes. {@link Schedule} decides which task may run. {@link AttemptEnds} decides what an
 * attempt's outcome means for its task. {@link BackOff} pauses dispatch when Server A itself failed.
 */
export class Dispatcher implements Dispatch {
  readonly #options: DispatcherOptions;
  readonly #clock: Clock;
  readonly #lanes: Lanes;
  readonly #schedule: Schedule;
  readonly #backOff: BackOff;
  readonly #ends: AttemptEnds;
  readonly #running = new Map<string, RunningTask>();
  #isDraining = false;
  /** Called when the last running task is settled, while the dispatcher closes. */
  #idle: (() => void) | null = null;

  constructor(options: DispatcherOptions) {
    const { records, backend, token, log, timing = LANE_TIMING, clock = SYSTEM_CLOCK } = options;
    this.#options = options;
    this.#clock = clock;
    this.#schedule = new Schedule(records);
    this.#backOff = new BackOff({ schedule: this.#schedule, log, clock, resumed: () => this.#dispatch() });
    this.#ends = new AttemptEnds({ records, schedule: this.#schedule, backOff: this.#backOff, log });
    this.#lanes = new Lanes({
      backend,
      token,
      files: records,
      log,
      timing,
      clock,
      answered: (answer) => this.#answered(answer),
    });
  }

  get status(): BackendStatus {
    return { lanes: this.#lanes.openCount, problem: this.#lanes.problem, model: this.#lanes.model };
  }

  enqueue(id: string, suspect: boolean): void {
    this.#schedule.add({ id, mode: modeOf(suspect) });
    this.#dispatch();
  }

  cancel(id: string): void {
    trace(id, 'is canceled');
    this.#schedule.remove(id);
    const running = this.#running.get(id);
    if (running === undefined) return;
    running.isCanceled = true;
    running.lane?.cancel(id);
  }

  /**
   * Starts no more tasks, lets running ones finish within `graceMs` milliseconds, then closes the lanes. If the release
   * of a job cannot be written, recovery at the next start makes the task pending.
   */
  async close(graceMs: number): Promise<void> {
    trace('dispatch', 'ends');
    this.#isDraining = true;
    this.#backOff.close();
    if (this.#running.size > 0) {
      const timer = this.#clock.setTimeout(() => this.#lanes.close(), graceMs);
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      this.#clock.clearTimeout(timer);
    }
    this.#lanes.close();
    await this.#ends.releaseDoubts();
  }

  /** Starts every task that may start now and finds a free lane. */
  #dispatch(): void {
    if (this.#isDraining || this.#backOff.isPaused) return;
    let turn = this.#startNext();
    while (turn?.mode === 'shared') turn = this.#startNext();
  }

  #startNext(): Turn | undefined {
    const lane = this.#lanes.free();
    if (lane === undefined) return undefined;
    const load = { running: this.#running.size, inDoubt: this.#ends.inDoubt, openLanes: this.#lanes.openCount };
    const turn = this.#schedule.next(load);
    if (turn !== undefined) this.#start(lane, turn);
    return turn;
  }

  #start(lane: LaneClient, { id, mode }: Turn): void {
    const task: RunningTask = { id, mode, lane: null, isCanceled: false };
    trace(id, 'starts,', mode);
    this.#running.set(id, task);
    this.#attempt(lane, task)
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, task_id: id }, 'an attempt failed with an internal error');
        this.#backOff.pause('an attempt failed with an internal error');
      })
      .finally(() => {
        trace(id, 'no longer runs');
        this.#running.delete(id);
        if (this.#running.size === 0) this.#idle?.();
        this.#dispatch();
      });
  }

  async #attempt(lane: LaneClient, task: RunningTask): Promise<void> {
    lane.reserve();
    const ran = await this.#run(lane, task).finally(() => lane.release());
    if (ran === null) return;
    // The lane can run the next job while Server A makes the outputs durable.
    this.#dispatch();
    await this.#ends.settle(ran.attempt, ran.outcome, this.#lanes.answer);
  }

  /** Runs one attempt on a reserved lane; null when the task was canceled before or cannot run. */
  async #run(lane: LaneClient, task: RunningTask): Promise<{ attempt: Attempt; outcome: JobOutcome } | null> {
    const { records, deadlineMs } = this.#options;
    const { id, mode } = task;
    const job = await records.begin(id).catch((error: unknown) => {
      this.#schedule.putBack({ id, mode });
      throw error;
    });
    if (job === null) return null;
    if (task.isCanceled || this.#isDraining) {
      await this.#schedule.release(job, mode);
      return null;
    }
    const attempt: Attempt = { job, mode };
    trace(id, 'is given to a lane as attempt', job.attempt);
    task.lane = lane;
    const outcome = await lane.run(attempt, deadlineMs);
    task.lane = null;
    trace(id, 'has the outcome', outcome.kind);
    return { attempt, outcome };
  }

  /** Settles attempts in doubt, because an instance of Server B answered on a lane. */
  #answered(answer: Answer): void {
    trace('dispatch', 'hears from instance', answer.instance);
    this.#ends
      .settleDoubts(answer)
      .catch((error: unknown) => {
        this.#options.log.error({ err: error }, 'attempts in doubt could not be settled');
        this.#backOff.pause('jobs in doubt could not be settled');
      })
      .finally(() => this.#dispatch());
  }
}
