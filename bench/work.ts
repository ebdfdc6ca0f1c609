import type { OutputSpec } from '../shared/operations/index.ts';

/** A picture, and what is made of it. */
export interface Task {
  /** Path of the picture. */
  readonly picture: string;
  readonly outputs: readonly OutputSpec[];
}

/** Tasks that are done in turn, again and again. */
export interface Work {
  /** Different for each list of tasks. */
  readonly name: string;
  readonly tasks: readonly Task[];
}

/** One picture resized by a factor. */
export function resizing(name: string, picture: string, factor: number): Work {
  return { name, tasks: [{ picture, outputs: [{ name: 'resize', operation: 'resize', scale_factor: factor }] }] };
}

/** What {@link resizing} makes, and labels. */
export function labelling(name: string, picture: string, factor: number): Work {
  const { tasks } = resizing(name, picture, factor);
  return { name, tasks: tasks.map((task) => ({ ...task, outputs: [...task.outputs, LABELS] })) };
}

export const LABELS: OutputSpec = { name: 'labels', operation: 'classify', top_k: 5 };

/** Four sizes of a responsive picture. */
export const FOUR_SIZES: readonly OutputSpec[] = [1600, 800, 400, 200].map((width) => ({
  name: `w${width}`,
  operation: 'resize',
  width,
}));
