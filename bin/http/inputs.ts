import { readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { invalid } from '../../shared/errors.ts';
import { formatOfExtension } from './formats.ts';
import { isFolder } from './is-folder.ts';

/** A file to upload. */
export interface Input {
  /** Its path, as it is opened and printed. */
  readonly path: string;
  /** Its path in the folder that was an argument; only its name when the file itself was an argument. */
  readonly within: string;
}

/** The files that the arguments of an upload stand for. */
export interface Inputs {
  readonly files: readonly Input[];
  /** True when an argument was a folder. */
  readonly hasFolder: boolean;
}

/**
 * Finds the files to upload. A file may have any extension. A folder stands for all pictures in it and in its folders,
 * found by extension, sorted by name, without hidden ones. Throws BAD_REQUEST for a path that does not exist and for a
 * folder without pictures.
 */
export async function findInputs(paths: readonly string[]): Promise<Inputs> {
  const files: Input[] = [];
  let hasFolder = false;
  for (const path of paths) {
    if (await isFolder(path, 'a file or folder', 'upload')) {
      hasFolder = true;
      const found = await picturesBelow(path, '');
      if (found.length === 0) throw invalid('a folder with pictures', 'upload', path);
      for (const within of found) files.push({ path: join(path, within), within });
    } else {
      files.push({ path, within: basename(path) });
    }
  }
  return { files, hasFolder };
}

/** Paths within `root`. Links to folders are not followed, so the walk ends. */
async function picturesBelow(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const within = join(folder, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) found.push(...(await picturesBelow(root, within)));
    else if (formatOfExtension(extname(entry.name)) !== undefined) found.push(within);
  }
  return found;
}
