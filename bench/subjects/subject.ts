import type { Work } from '../work.ts';

/** What some tasks took. */
export interface Sample {
  /** CPU of all processes for each task, in milliseconds. */
  readonly cpuMs: number;
  readonly tasksPerSecond: number;
}

/** Something that does the work and is measured: Darkroom, or a reference. */
export interface Subject {
  readonly name: string;
  /** Does `count` tasks of the work; rejects when one of them fails. */
  measure(work: Work, count: number): Promise<Sample>;
  close(): Promise<void>;
}
