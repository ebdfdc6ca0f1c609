import type { Logger } from '../shared/log.ts';

/** Closes one part of the server. Logs a failure instead of throwing it, so that the other parts are closed, too. */
export async function closePart(log: Logger, part: string, close: () => Promise<void> | void): Promise<void> {
  try {
    await close();
  } catch (error) {
    log.error({ err: error, part }, 'a part of the server could not be closed');
  }
}
