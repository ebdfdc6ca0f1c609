import type { Logger } from '../shared/log.ts';

/** Closes one part. What fails is logged and not thrown, so that the parts after it are closed all the same. */
export async function closePart(log: Logger, part: string, close: () => Promise<void> | void): Promise<void> {
  try {
    await close();
  } catch (error) {
    log.error({ err: error, part }, 'a part could not be closed');
  }
}
