import { z } from 'zod';
import { controlCommand } from './command.ts';

/** `backup`: yields the archive; the result is the number of its files. */
export const backupCommand = controlCommand('backup', z.object({}), (_request, { tasks }, signal) =>
  tasks.backup(signal),
);
