import type { Pictures } from './inputs.ts';
import type { Subjects } from './subjects/subjects.ts';

/** A bound that a figure should keep. */
export type Target = { readonly most: number } | { readonly least: number };

/** One figure of a case. */
export interface Figure {
  /** What was measured, such as `CPU ÷ bare loop`. */
  readonly figure: string;
  readonly value: number;
  /** Such as `ms`; empty for a ratio. */
  readonly unit: string;
  /** The smallest and the largest value of all rounds; null where there was one round. */
  readonly spread: readonly [number, number] | null;
  /** Null for a figure that is only shown. */
  readonly target: Target | null;
  /** The measured value of Darkroom behind a ratio, with its unit; empty where the figure says it. */
  readonly darkroom?: string;
  /** The same of the reference. */
  readonly reference?: string;
}

/** A figure that could not be measured here, and why. */
export interface NotRun {
  readonly figure: string;
  readonly reason: string;
}

export type Row = Figure | NotRun;

/** What a case measures with. */
export interface Bench {
  /** True where each case only has to run: counts are tiny, and no figure means anything. */
  readonly isSmall: boolean;
  /** How often each case alternates between Darkroom and its references. */
  readonly rounds: number;
  /** Tasks of the case `growth`. */
  readonly growthTasks: number;
  /** An empty folder of the benchmark's own, removed at its end. */
  readonly folder: string;
  readonly pictures: Pictures;
  /** Path of the classifier; null where there is none. */
  readonly model: string | null;
  /** The flags with which Darkroom uses that classifier, or none. */
  readonly modelFlags: readonly string[];
  /** A number of tasks, requests or seconds: `full`, or `small` in a small run. */
  count(full: number, small: number): number;
  /** Darkroom and its references: started and warmed up by the first case that needs them. */
  subjects(): Promise<Subjects>;
  /** Shows progress. */
  say(text: string): void;
}

/** One case of the benchmark. */
export interface Case {
  /** The word by which it is run alone. */
  readonly name: string;
  /** What it measures, in a few words. */
  readonly title: string;
  run(bench: Bench): Promise<Row[]>;
}
