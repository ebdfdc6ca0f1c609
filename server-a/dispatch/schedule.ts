import { type Mode, modeOf, type Turn } from './attempt.ts';
import type { Job, TaskRecords } from './contract.ts';
import { WaitingQueue } from './queue.ts';
import { trace } from './trace.ts';

/** Running tasks per lane: one on the lane, and one whose outputs are being made durable. */
const RUNNING_PER_LANE = 2;

/** The numbers that decide whether another task may start on a Server B. */
export interface Load {
  /** Tasks that run on it. */
  readonly running: number;
  /** Tasks that may still run on it while it cannot be reached. */
  readonly inDoubt: number;
  readonly openLanes: number;
}

/**
 * Decides which task runs next: the oldest first, and each suspect alone. Suspects that have not run alone yet go before
 * all others; most of them are innocent. One that has crashed a Server B goes behind the tasks that wait by then, so that
 * none of them waits for more than one crash of it.
 */
export class Schedule {
  readonly #records: Pick<TaskRecords, 'waiting' | 'release'>;
  readonly #queues: Readonly<Record<Mode, WaitingQueue>> = { shared: new WaitingQueue(), alone: new WaitingQueue() };
  /** Suspects that have crashed a Server B while they ran alone. */
  readonly #crashers = new WaitingQueue();
  #lastPlace = 0;

  /** Starts with the waiting tasks of the records. */
  constructor(records: Pick<TaskRecords, 'waiting' | 'release'>) {
    this.#records = records;
    for (const { id, suspect } of records.waiting()) this.add({ id, mode: modeOf(suspect) });
  }

  /** True while a suspect waits. */
  get hasSuspects(): boolean {
    return this.#queues.alone.size > 0 || this.#crashers.size > 0;
  }

  /** Puts a task at the end of its queue. */
  add({ id, mode }: Turn): void {
    trace(id, 'waits,', mode);
    this.#queues[mode].add(id, this.#nextPlace());
  }

  /** Puts a task that had its turn before all tasks that have not had one yet. */
  putBack({ id, mode }: Turn): void {
    trace(id, 'waits again,', mode);
    this.#queues[mode].putBack(id);
  }

  /** Puts a suspect that has crashed a Server B while it ran alone behind all tasks that wait now. */
  putBehind(id: string): void {
    trace(id, 'waits again, behind the others');
    this.#crashers.add(id, this.#nextPlace());
  }

  /** Removes a task, if it waits. */
  remove(id: string): void {
    for (const queue of [...Object.values(this.#queues), this.#crashers]) queue.remove(id);
  }

  /** Makes the job's task pending again in the records, without a strike, and puts it back. */
  async release(job: Job, mode: Mode): Promise<void> {
    if (await this.#records.release(job, mode === 'alone')) this.putBack({ id: job.id, mode });
  }

  /**
   * Removes and returns the task that may start now on the only Server B; undefined without one. While a suspect has its
   * turn but cannot start yet, no other task starts.
   */
  next(load: Load): Turn | undefined {
    const isSuspectNext = this.#queues.alone.size > 0 || this.#crashers.firstPlace < this.#queues.shared.firstPlace;
    return isSuspectNext ? this.nextSuspect(load) : this.nextOrdinary(load);
  }

  /** The same for a Server B that runs only suspects. */
  nextSuspect({ running, inDoubt }: Load): Turn | undefined {
    if (running > 0 || inDoubt > 0) return undefined;
    const id = this.#queues.alone.shift() ?? this.#crashers.shift();
    return id === undefined ? undefined : { id, mode: 'alone' };
  }

  /** The same for a Server B that runs no suspects. */
  nextOrdinary({ running, openLanes }: Load): Turn | undefined {
    const id = running < openLanes * RUNNING_PER_LANE ? this.#queues.shared.shift() : undefined;
    return id === undefined ? undefined : { id, mode: 'shared' };
  }

  #nextPlace(): number {
    this.#lastPlace += 1;
    return this.#lastPlace;
  }
}
