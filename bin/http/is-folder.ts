import { stat } from 'node:fs/promises';
import { invalid, systemCode } from '../../shared/errors.ts';

/** True for a folder. Throws BAD_REQUEST, "Expected a file or folder (ENOENT) for …", for a path that does not exist. */
export async function isFolder(path: string, expected: string, name: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    const reason = systemCode(error);
    if (reason === undefined) throw error;
    throw invalid(`${expected} (${reason})`, name, path);
  }
}
