import { once } from 'node:events';
import { constants } from 'node:os';
import { DarkroomError } from '../shared/errors.ts';

/**
 * Aborts at the first SIGINT or SIGTERM, with a CANCELED error as the reason. The second one ends the process at once
 * with the exit code 128 + its number, as shells do. Call it once.
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
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
