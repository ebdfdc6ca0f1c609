import { constants } from 'node:os';
import { DarkroomError } from '../shared/errors.ts';

/**
 * Aborts at the first SIGINT or SIGTERM, with a CANCELED error as the reason; the second one ends the process at once
 * with 128 + its number, the shell's convention. To be called once.
 */
export function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  const onSignal = (signal: 'SIGINT' | 'SIGTERM'): void => {
    if (controller.signal.aborted) process.exit(128 + constants.signals[signal]);
    controller.abort(new DarkroomError('CANCELED', `Stopped by ${signal}`));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return controller.signal;
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
