import { debuglog } from 'node:util';

const log = debuglog('darkroom-dispatcher');

/**
 * Traces a state change of a task or of the dispatcher itself to standard error when NODE_DEBUG contains
 * `darkroom-dispatcher`; does nothing otherwise.
 */
export function trace(subject: string, ...words: readonly (string | number)[]): void {
  if (log.enabled) log('%s %s', subject, words.join(' '));
}
