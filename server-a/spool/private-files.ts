import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';

/** What Darkroom makes in a data folder. Other files in it are not ours to change. */
const OURS = /^(store\.(db|json)|lock\.(db|json)|control\.sock|spool$|model$|lost\+found$)/;
const GROUP_AND_OTHERS = 0o077;

/**
 * Takes all permissions of group and others from the data folder, from what Darkroom made in it, and from what is in a
 * folder that they could enter, because it may be of a Darkroom that made files with mode 0644. Logs what it may not
 * change and goes on. What is in a folder of mode 0700 is out of their reach, so that a start does not look at each of
 * 100,000 pictures. Synchronous, because nothing is served yet, and promises take thirty times as long.
 */
export function makePrivate(folder: string, log: Logger): void {
  const refused: string[] = [];
  const paths = names(folder).filter((name) => OURS.test(name));
  tighten(folder, refused);
  for (const name of paths) makeTreePrivate(join(folder, name), refused);
  if (refused.length > 0) log.warn({ files: refused.length, file: refused[0] }, 'files cannot be made private');
}

/** The folder goes last: one in which this was cut off is still open then, so that the next start goes on. */
function makeTreePrivate(path: string, refused: string[]): void {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined || entry.isSymbolicLink() || (entry.mode & GROUP_AND_OTHERS) === 0) return;
  if (entry.isDirectory()) for (const name of names(path)) makeTreePrivate(`${path}/${name}`, refused);
  tighten(path, refused);
}

/** The names in a folder; none for what is not ours to read. */
function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'EACCES'].includes(systemCode(error) ?? '')) return [];
    throw error;
  }
}

/** Adds the path to `refused` when the system does not allow the change. */
function tighten(path: string, refused: string[]): void {
  try {
    const { mode } = lstatSync(path);
    if ((mode & GROUP_AND_OTHERS) !== 0) chmodSync(path, mode & 0o700);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return;
    if (code !== 'EPERM' && code !== 'EACCES' && code !== 'EROFS') throw error;
    refused.push(path);
  }
}
