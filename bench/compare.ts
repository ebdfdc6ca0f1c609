import type { Bench, Figure, Target } from './case.ts';
import { median, quotients, spreadOf } from './statistics.ts';
import type { Sample, Subject } from './subjects/subject.ts';
import type { Work } from './work.ts';

/** The share of a round's tasks with which each subject gets used to the work before the first round. */
const WARM_UP_SHARE = 0.5;

/** Lets subjects do the work in turn, round after round; gives the samples of each, in the order of the subjects. */
export async function takeTurns(
  bench: Bench,
  work: Work,
  count: number,
  subjects: readonly Subject[],
): Promise<Sample[][]> {
  for (const subject of subjects) await subject.measure(work, Math.ceil(count * WARM_UP_SHARE));
  const samples: Sample[][] = subjects.map(() => []);
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const [index, subject] of subjects.entries()) samples[index]?.push(await subject.measure(work, count));
  }
  return samples;
}

/** One of two things that are compared: its name, and what it took in each round. */
export interface Measured {
  readonly name: string;
  readonly samples: readonly Sample[];
}

/** The CPU of one task as a multiple of the reference's: the median over all rounds. */
export function cpuRatio(subject: Measured, reference: Measured, target: Target | null): Figure {
  return ratio('CPU', 'ms', subject, reference, ({ cpuMs }) => cpuMs, target);
}

/** The tasks a second as a multiple of the reference's: the median over all rounds. */
export function rateRatio(subject: Measured, reference: Measured, target: Target | null): Figure {
  return ratio('rate', '/s', subject, reference, ({ tasksPerSecond }) => tasksPerSecond, target);
}

function ratio(
  what: string,
  unit: string,
  subject: Measured,
  reference: Measured,
  pick: (sample: Sample) => number,
  target: Target | null,
): Figure {
  const [values, divisors] = [subject.samples.map(pick), reference.samples.map(pick)];
  const figure = `${what}, ${subject.name} ÷ ${reference.name}`;
  return ratioFigure(figure, unit, values, divisors, target);
}

/** The quotient of two lists of values, round by round: its median and its spread. */
export function ratioFigure(
  figure: string,
  unit: string,
  values: readonly number[],
  divisors: readonly number[],
  target: Target | null,
): Figure {
  const ratios = quotients(values, divisors);
  const show = (list: readonly number[]) => withUnit(median(list), unit);
  const shown = { darkroom: show(values), reference: show(divisors) };
  return { figure, value: median(ratios), unit: '', spread: spreadOf(ratios), target, ...shown };
}

/** The median of one value of each round. */
export function valueFigure(figure: string, unit: string, values: readonly number[], target: Target | null): Figure {
  return { figure, value: median(values), unit, spread: values.length > 1 ? spreadOf(values) : null, target };
}

/** A number as a person reads it: three digits or more, and its unit. */
export function withUnit(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`;
}
