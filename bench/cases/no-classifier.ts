import type { NotRun } from '../case.ts';

/** A figure that needs the classifier, where there is none. */
export function noClassifier(figure: string): NotRun {
  return { figure, reason: 'needs the classifier in ../shared/models' };
}
