import {
  type QuarantineList,
  quarantineListSchema,
  quarantineReleasedSchema,
} from '../../server-a/control/quarantine-messages.ts';
import { control } from './client.ts';

/** The pictures that the Darkroom on the data folder has in quarantine, oldest first. Throws like {@link control}. */
export async function listQuarantine(dataDir: string, signal: AbortSignal): Promise<QuarantineList['pictures']> {
  return quarantineListSchema.parse(await resultOf(control(dataDir, { command: 'quarantine-list' }, signal))).pictures;
}

/**
 * Has the Darkroom on the data folder accept pictures again; resolves with their number. Throws NOT_FOUND when one of them
 * is not in quarantine, and like {@link control}.
 */
export async function releaseQuarantine(
  dataDir: string,
  sha256: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const answer = control(dataDir, { command: 'quarantine-release', sha256 }, signal);
  return quarantineReleasedSchema.parse(await resultOf(answer)).released;
}

/** The result of a command that gives no data. */
async function resultOf(answer: AsyncGenerator<unknown, unknown>): Promise<unknown> {
  let next = await answer.next();
  while (!next.done) next = await answer.next();
  return next.value;
}
