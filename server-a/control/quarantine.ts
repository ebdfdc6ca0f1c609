import { z } from 'zod';
import { DarkroomError } from '../../shared/errors.ts';
import { controlCommand } from './command.ts';
import { type QuarantineList, type QuarantineReleased, sha256Schema } from './quarantine-messages.ts';

/** `quarantine-list`: the result has the pictures in quarantine, oldest first. */
export const quarantineListCommand = controlCommand(
  'quarantine-list',
  z.object({}),
  async function* (_request, { tasks }) {
    const pictures = tasks.quarantine.list().map(({ since, until, ...picture }) => ({
      ...picture,
      since: new Date(since).toISOString(),
      until: new Date(until).toISOString(),
    }));
    return { pictures } satisfies QuarantineList;
  },
);

/**
 * `quarantine-release`: accepts pictures again, durably; the result is their number. Throws NOT_FOUND, and releases none,
 * when one of them is not in quarantine.
 */
export const quarantineReleaseCommand = controlCommand(
  'quarantine-release',
  z.object({ sha256: z.array(sha256Schema).min(1) }),
  async function* ({ sha256 }, { tasks }) {
    const known = new Set(tasks.quarantine.list().map((picture) => picture.sha256));
    const unknown = sha256.find((one) => !known.has(one));
    if (unknown !== undefined) throw new DarkroomError('NOT_FOUND', `No picture ${unknown} is in quarantine.`);
    for (const one of sha256) await tasks.quarantine.release(one);
    return { released: new Set(sha256).size } satisfies QuarantineReleased;
  },
);
