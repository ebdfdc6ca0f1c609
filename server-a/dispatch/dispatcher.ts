import { type Clock, SYSTEM_CLOCK } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { LANE_TIMING, type LaneTiming } from '../../shared/wire/lane.ts';
import { type Attempt, modeOf, type Turn } from './attempt.ts';
import { BackOff } from './back-off.ts';
import type { Dispatch, TaskRecords } from './contract.ts';
import type { JobOutcome, LaneClient } from './lane-client.ts';
import type { Backend, OnDemandBackend } from './lanes.ts';
import { Schedule } from './schedule.ts';
import { Site } from './site.ts';
import { trace } from './trace.ts';

export interface DispatcherOptions {
  readonly records: TaskRecords;
  readonly backend: Backend;
  /** A second Server B, on which suspects run while all other tasks go on. Without it they run on the only one. */
  readonly suspectBackend?: OnDemandBackend | undefined;
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
  readonly site: Site;
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
 * Runs waiting tasks on the lanes of a {@link Site}. {@link Schedule} decides which task may run. `AttemptEnds` decides
 * what an attempt's outcome means for its task. {@link BackOff} pauses dispatch when Server A itself failed.
 */
export class Dispatcher implements Dispatch {
  readonly #options: DispatcherOptions;
  readonly #clock: Clock;
  readonly #schedule: Schedule;
  readonly #backOff: BackOff;
  readonly #main: Site;
  /** Where suspects run; null when they run on the main site. */
  readonly #aside: Site | null;
  readonly #running = new Map<string, RunningTask>();
  #isDraining = false;
  /** Called when the last running task is settled, while the dispatcher closes. */
  #idle: (() => void) | null = null;

  constructor(options: DispatcherOptions) {
    const { records, backend, suspectBackend, log, clock = SYSTEM_CLOCK } = options;
    this.#options = options;
    this.#clock = clock;
    this.#schedule = new Schedule(records);
    this.#backOff = new BackOff({ schedule: this.#schedule, log, clock, resumed: () => this.#dispatch() });
    this.#main = this.#openSite(backend, log);
    this.#aside = suspectBackend === undefined ? null : this.#openSite(suspectBackend, log.child({ site: 'suspects' }));
    this.#wantAside();
  }

  get status(): BackendStatus {
    const { openCount, problem, model } = this.#main.lanes;
    return { lanes: openCount, problem, model };
  }

  get memoryBytes(): number | null {
    const known = [this.#main, this.#aside].flatMap((site) => site?.lanes.memoryBytes ?? []);
    return known.length === 0 ? null : Math.min(...known);
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
      const timer = this.#clock.setTimeout(() => this.#closeLanes(), graceMs);
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      this.#clock.clearTimeout(timer);
    }
    this.#closeLanes();
    await this.#main.ends.releaseDoubts();
    await this.#aside?.ends.releaseDoubts();
  }

  #closeLanes(): void {
    this.#main.lanes.close();
    this.#aside?.lanes.close();
  }

  #openSite(backend: Backend, log: Logger): Site {
    const { records, token, timing = LANE_TIMING } = this.#options;
    const [schedule, backOff, clock] = [this.#schedule, this.#backOff, this.#clock];
    const ready = () => this.#dispatch();
    return new Site({ backend, records, schedule, backOff, token, timing, clock, log, ready });
  }

  /** Starts every task that may start now and finds a free lane. */
  #dispatch(): void {
    if (!this.#isDraining && !this.#backOff.isPaused) {
      let turn = this.#startNext(this.#main);
      while (turn?.mode === 'shared') turn = this.#startNext(this.#main);
      if (this.#aside !== null) this.#startNext(this.#aside);
    }
    this.#wantAside();
  }

  /** A task in doubt on the main site is probably a suspect soon, so the other one starts already. */
  #wantAside(): void {
    const isWanted = this.#schedule.hasSuspects || this.#aside?.isBusy || this.#main.ends.inDoubt > 0;
    this.#options.suspectBackend?.want(isWanted);
  }

  #startNext(site: Site): Turn | undefined {
    const lane = site.lanes.free();
    if (lane === undefined) return undefined;
    const turn = this.#nextOn(site);
    if (turn !== undefined) this.#start(site, lane, turn);
    return turn;
  }

  #nextOn(site: Site): Turn | undefined {
    if (this.#aside === null) return this.#schedule.next(site.load);
    return site === this.#aside ? this.#schedule.nextSuspect(site.load) : this.#schedule.nextOrdinary(site.load);
  }

  #start(site: Site, lane: LaneClient, { id, mode }: Turn): void {
    const task: RunningTask = { id, mode, site, lane: null, isCanceled: false };
    trace(id, 'starts,', mode);
    site.running += 1;
    this.#running.set(id, task);
    this.#attempt(lane, task)
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, task_id: id }, 'an attempt failed with an internal error');
        this.#backOff.pause('an attempt failed with an internal error');
      })
      .finally(() => {
        trace(id, 'no longer runs');
        site.running -= 1;
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
    await task.site.ends.settle(ran.attempt, ran.outcome, task.site.lanes.answer);
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
}
