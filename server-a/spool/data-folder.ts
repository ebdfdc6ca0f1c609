import { resolve } from 'node:path';
import { makeFolder } from '../../shared/durable-folder.ts';
import { DarkroomError, expectedMessage, systemCode } from '../../shared/errors.ts';
import type { FileSystem } from '../../shared/file-system.ts';

/**
 * Makes the data folder if it is missing, durably and with mode 0700. Resolves with its absolute path. Throws
 * BAD_REQUEST when it cannot be made.
 */
export async function makeDataFolder(path: string, files: FileSystem): Promise<string> {
  const folder = resolve(path);
  try {
    await makeFolder(folder, 0o700, files);
    return folder;
  } catch (error) {
    const message = expectedMessage('a folder that can be made', '--data-dir', `${path} (${systemCode(error)})`);
    throw new DarkroomError('BAD_REQUEST', message, { cause: error });
  }
}
