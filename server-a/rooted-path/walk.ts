import { constants } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DarkroomError, expectedMessage, systemCode } from '../../shared/errors.ts';

/** open(2) on Linux, not named by node:fs: opens a place without reading it, and a link as itself. */
const O_PATH = 0o10000000;
/** As many as Linux follows (path_resolution(7)). */
const MAX_LINKS = 40;
/** The longest path Linux takes (PATH_MAX). */
const MAX_PATH = 4096;

const MISSING = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'];
const REFUSED = ['EACCES', 'EPERM', 'EROFS', 'EISDIR', 'ELOOP', 'ENXIO', 'ENODEV'];

/** Where a walk ended: a folder, and the name of something in it, or of nothing yet. */
export interface Place {
  readonly folder: FileHandle;
  readonly name: string;
}

/**
 * Resolves a path by itself, name by name, each opened from the folder before it: the walk is never outside the root,
 * not for a moment, so it neither reads nor tells what is there, whatever is swapped meanwhile. It goes through
 * /proc/self/fd (proc(5)); where there is none, as outside Linux, every path is refused.
 */
export class RootedWalk {
  readonly #path: string;
  readonly #root: FileHandle;
  /** The root as it was named, and with all its links resolved: an absolute path may begin with either. */
  readonly #rootNames: readonly (readonly string[])[];
  /** The folders from below the root to where the walk is, all open. */
  #trail: FileHandle[] = [];

  private constructor(path: string, root: FileHandle, rootNames: readonly (readonly string[])[]) {
    this.#path = path;
    this.#root = root;
    this.#rootNames = rootNames;
  }

  /**
   * A walk to `path` that stands at the root. Throws PATH_NOT_ALLOWED when no root is named, or it is no folder, and for
   * a path with `..` in it; links on the way may have it.
   */
  static async start(root: string | undefined, path: string): Promise<RootedWalk> {
    if (root === undefined || path.length > MAX_PATH || path.includes('\0') || namesOf(path).some(leadsUp)) {
      throw pathNotAllowed(path);
    }
    const folder = await orRefuse(path, () => open(root, constants.O_RDONLY | constants.O_DIRECTORY));
    const location = await readLink(within(folder));
    if (location !== null) return new RootedWalk(path, folder, [namesOf(resolve(root)), namesOf(location)]);
    await folder.close();
    throw pathNotAllowed(path);
  }

  /**
   * Goes to the path's last folder; with `follow` also on through a link that stands at the end. Gives null where
   * something on the way is missing. Throws PATH_NOT_ALLOWED where the way leads out, or ends in dots.
   */
  async find({ follow }: { follow: boolean }): Promise<Place | null> {
    let ahead = this.#check(this.#path.startsWith('/') ? this.#belowRoot(this.#path) : namesOf(this.#path));
    for (let links = 0; links <= MAX_LINKS; ) {
      const [name, ...rest] = ahead;
      if (name === undefined) break;
      const folder = this.#trail.at(-1) ?? this.#root;
      const target = name === '..' || (rest.length === 0 && !follow) ? null : await readLink(within(folder, name));
      if (target !== null) {
        links += 1;
        if (target.startsWith('/')) await this.#leave(this.#trail.length);
        const names = target.startsWith('/') ? this.#belowRoot(target) : namesOf(target);
        ahead = this.#check([...names, ...rest]);
        continue;
      }
      if (name === '..') await this.#leave(1);
      else if (rest.length === 0) return { folder, name };
      else if (!(await this.#enter(folder, name))) return null;
      ahead = rest;
    }
    throw pathNotAllowed(this.#path);
  }

  /** Throws PATH_NOT_ALLOWED unless an open file lies below the root: it may have been moved since it was found. */
  async checkLocation(handle: FileHandle): Promise<void> {
    const root = await readLink(within(this.#root));
    const location = await readLink(within(handle));
    const prefix = root === '/' ? '/' : `${root}/`;
    if (root === null || !location?.startsWith(prefix)) throw pathNotAllowed(this.#path);
  }

  /** Closes every folder. */
  async close(): Promise<void> {
    await this.#leave(this.#trail.length);
    await this.#root.close();
  }

  /** The names that lead from the root to an absolute path. */
  #belowRoot(path: string): string[] {
    const names = namesOf(path);
    const root = this.#rootNames.find((root) => root.every((name, index) => name === names[index]));
    if (root === undefined) throw pathNotAllowed(this.#path);
    return names.slice(root.length);
  }

  /** The names, which do not climb above the root, whether what they go through is there or not. */
  #check(names: string[]): string[] {
    let depth = this.#trail.length;
    for (const name of names) {
      depth += name === '..' ? -1 : 1;
      if (depth < 0) throw pathNotAllowed(this.#path);
    }
    return names;
  }

  async #enter(folder: FileHandle, name: string): Promise<boolean> {
    const next = await orNull(this.#path, () => open(within(folder, name), O_PATH | constants.O_NOFOLLOW));
    if (next === null) return false;
    this.#trail.push(next);
    const entry = await next.stat();
    // It was none when it was looked at.
    if (entry.isSymbolicLink()) throw pathNotAllowed(this.#path);
    return entry.isDirectory();
  }

  async #leave(folders: number): Promise<void> {
    for (const folder of this.#trail.splice(this.#trail.length - folders)) await folder.close();
  }
}

/**
 * The path of an open folder, or of a name in it. The system goes on from the folder itself, wherever that is and
 * whatever its path has come to mean.
 */
export function within(folder: FileHandle, name?: string): string {
  return `/proc/self/fd/${folder.fd}${name === undefined ? '' : `/${name}`}`;
}

/** What `work` gives, or null where the system finds nothing. Throws PATH_NOT_ALLOWED where the system refuses. */
export async function orNull<Value>(path: string, work: () => Promise<Value>): Promise<Value | null> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (MISSING.includes(code)) return null;
    throw REFUSED.includes(code) ? pathNotAllowed(path, error) : error;
  }
}

/** What `work` gives. Throws PATH_NOT_ALLOWED where the system refuses or finds nothing. */
export async function orRefuse<Value>(path: string, work: () => Promise<Value>): Promise<Value> {
  const value = await orNull(path, work);
  if (value === null) throw pathNotAllowed(path);
  return value;
}

/** The same for all that is not allowed, there or not: it must not tell which. */
export function pathNotAllowed(path: string, cause?: unknown): DarkroomError {
  const expected = 'a regular file below the folder that --path-root names';
  return new DarkroomError('PATH_NOT_ALLOWED', expectedMessage(expected, 'path', path), { cause });
}

/** The target of a link; null for what is no link, or is not there. */
async function readLink(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    if (['EINVAL', ...MISSING, ...REFUSED].includes(systemCode(error) ?? '')) return null;
    throw error;
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/**
 * True for the way up, which behind a link leads elsewhere than the text says, and for a name whose percent signs, decoded
 * however often, stand for it or for a NUL. Nothing here decodes them, and any other name is taken as it is; but nobody
 * means a folder called `%2e%2e`.
 */
function leadsUp(name: string): boolean {
  if (name === '..') return true;
  const decoded = name.replace(/%(?:25)*(2e|2f|5c|00)/gi, (_all, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return decoded !== name && /(^|[/\\])\.\.([/\\]|$)|\0/.test(decoded);
}
