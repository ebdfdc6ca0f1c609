import { debuglog } from 'node:util';

const log = debuglog('darkroom-dispatcher');

/**
 * Writes a line to standard error about what a task, or the dispatcher itself, does now when NODE_DEBUG contains
 * `darkroom-dispatcher`; otherwise it does nothing.
 */
export function trace(subject: string, ...words: readonly (string | number)[]): void {
  if (log.enabled) log('%s %s', subject, words.join(' '));
}
