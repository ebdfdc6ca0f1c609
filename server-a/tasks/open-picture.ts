import { type FileHandle, open } from 'node:fs/promises';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import type { Result } from './result.ts';

/** A picture among a task's results. */
export type PictureResult = Extract<Result, { kind: 'picture' }>;

/** Opens the picture for reading; the caller closes it. Throws SPOOL_CORRUPT when the file is not there any more. */
export async function openPicture({ path }: PictureResult): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new DarkroomError('SPOOL_CORRUPT', 'Expected the picture on disk, received none', { cause: error });
  }
}
