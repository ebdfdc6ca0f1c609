import { type Mode, modeOf, type Turn } from './attempt.ts';
import type { Job, TaskRecords } from './contract.ts';
import { WaitingQueue } from './queue.ts';
import { trace } from './trace.ts';

/** Running tasks per lane: one on the lane, and one whose outputs are being made durable. */
const RUNNING_PER_LANE = 2;

/** The numbers that decide whether another task may start. */
export interface Load {
  /** Running tasks. */
  readonly running: number;
  /** Tasks that may still run on a Server B that cannot be reached. */
  readonly inDoubt: number;
  readonly openLanes: number;
}

/** Decides which task runs next: the oldest first, but suspects before all others, and each suspect alone. */
export class Schedule {
  readonly #records: Pick<TaskRecords, 'waiting' | 'release'>;
  readonly #queues: Readonly<Record<Mode, WaitingQueue>> = { shared: new WaitingQueue(), alone: new WaitingQueue() };

  /** Starts with the waiting tasks of the records. */
  constructor(records: Pick<TaskRecords, 'waiting' | 'release'>) {
    this.#records = records;
    for (const { id, suspect } of records.waiting()) this.add({ id, mode: modeOf(suspect) });
  }

  /** Puts a task at the end of its queue. */
  add({ id, mode }: Turn): void {
    trace(id, 'waits,', mode);
    this.#queues[mode].add(id);
  }

  /** Puts a task that had its turn before all tasks that have not had one yet. */
  putBack({ id, mode }: Turn): void {
    trace(id, 'waits again,', mode);
    this.#queues[mode].putBack(id);
  }

  /** Removes a task, if it waits. */
  remove(id: string): void {
    for (const queue of Object.values(this.#queues)) queue.remove(id);
  }

  /** Makes the job's task pending again in the records, without a strike, and puts it back. */
  async release(job: Job, mode: Mode): Promise<void> {
    if (await this.#records.release(job, mode === 'alone')) this.putBack({ id: job.id, mode });
  }

  /** Removes and returns the task that may start now, or undefined. While suspects wait, no other task starts. */
  next({ running, inDoubt, openLanes }: Load): Turn | undefined {
    const mode: Mode = this.#queues.alone.size > 0 ? 'alone' : 'shared';
    const mayStart = mode === 'alone' ? running === 0 && inDoubt === 0 : running < openLanes * RUNNING_PER_LANE;
    const id = mayStart ? this.#queues[mode].shift() : undefined;
    return id === undefined ? undefined : { id, mode };
  }
}
