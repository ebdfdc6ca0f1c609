import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { DarkroomError, expectedMessage, systemCode } from '../../shared/errors.ts';
import { FolderSync } from './folder-sync.ts';

/**
 * Makes the data folder where it is not there, durably and readable for its owner only; gives its absolute
 * path. Throws BAD_REQUEST when it cannot be made.
 */
export async function makeDataFolder(path: string): Promise<string> {
  const folder = resolve(path);
  try {
    const first = await mkdir(folder, { recursive: true, mode: 0o700 });
    if (first !== undefined) await syncParents(folder, first);
    return folder;
  } catch (error) {
    const message = expectedMessage('a folder that can be made', '--data-dir', `${path} (${systemCode(error)})`);
    throw new DarkroomError('BAD_REQUEST', message, { cause: error });
  }
}

/** Makes the names of `folder` and of those above it durable, up to `first`, the uppermost that is new. */
async function syncParents(folder: string, first: string): Promise<void> {
  await FolderSync.syncOnce(dirname(folder));
  if (folder !== first) await syncParents(dirname(folder), first);
}
