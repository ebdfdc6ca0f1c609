import type { Job } from './contract.ts';

/**
 * How a task runs: `shared`, at the same time as others, or `alone`, with no other job on Server B. A crash counts as a
 * strike only for a task that ran alone, because no other job can have caused it.
 */
export type Mode = 'shared' | 'alone';

/** A task's next turn: the task, and how it runs. */
export interface Turn {
  readonly id: string;
  readonly mode: Mode;
}

/** One attempt at a task, begun in the records. */
export interface Attempt {
  readonly job: Job;
  readonly mode: Mode;
}

/** The mode of a task that waits. A suspect was past GO on an instance that died, so it runs alone. */
export function modeOf(suspect: boolean): Mode {
  return suspect ? 'alone' : 'shared';
}
