import { chmod, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';

/** What Darkroom makes in a data folder. Other files in it are not ours to change. */
const FILES = /^(store\.(db|json)|lock\.(db|json)|control\.sock)/;
const FOLDERS = ['spool', 'model', 'lost+found'];
const GROUP_AND_OTHERS = 0o077;

/**
 * Takes all permissions of group and others from the data folder and what Darkroom made in it, because it may be of a
 * Darkroom that made files with mode 0644. Logs what it may not change and goes on.
 */
export async function makePrivate(folder: string, log: Logger): Promise<void> {
  const top = (await names(folder)).filter((name) => FILES.test(name));
  const paths = [folder, ...top.map((name) => join(folder, name))];
  for (const name of FOLDERS) paths.push(join(folder, name), ...(await pathsBelow(join(folder, name))));
  const refused: string[] = [];
  for (const path of paths) if (!(await tighten(path))) refused.push(path);
  if (refused.length > 0) log.warn({ files: refused.length, file: refused[0] }, 'files cannot be made private');
}

async function pathsBelow(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const name of await names(folder)) {
    const path = join(folder, name);
    paths.push(path, ...(await pathsBelow(path)));
  }
  return paths;
}

/** The names in a folder; none for what is not a folder, or is not ours to read. */
async function names(folder: string): Promise<string[]> {
  try {
    return (await lstat(folder)).isDirectory() ? await readdir(folder) : [];
  } catch (error) {
    if (['ENOENT', 'EACCES'].includes(systemCode(error) ?? '')) return [];
    throw error;
  }
}

/** False when the system does not allow the change. A link is left as it is. */
async function tighten(path: string): Promise<boolean> {
  try {
    const entry = await lstat(path);
    if (entry.isSymbolicLink() || (entry.mode & GROUP_AND_OTHERS) === 0) return true;
    await chmod(path, entry.mode & 0o700);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return true;
    if (code === 'EPERM' || code === 'EACCES' || code === 'EROFS') return false;
    throw error;
  }
}
