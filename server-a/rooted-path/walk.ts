import { constants } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DarkroomError, expectedMessage, systemCode } from '../../shared/errors.ts';

/** open(2) on Linux, missing in node:fs: opens a path without access to its content, and a link itself. */
const O_PATH = 0o10000000;
/** The number of links that Linux follows (path_resolution(7)). */
const MAX_LINKS = 40;
/** The longest path on Linux (PATH_MAX). */
const MAX_PATH = 4096;

const MISSING = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'];
const REFUSED = ['EACCES', 'EPERM', 'EROFS', 'EISDIR', 'ELOOP', 'ENXIO', 'ENODEV'];

/** The name of a folder in itself. */
export const ITSELF = '.';

/** The end of a walk: a folder, and the name of an existing or new entry in it, or {@link ITSELF}. */
export interface Place {
  readonly folder: FileHandle;
  readonly name: string;
}

/**
 * Resolves a path name by name and opens each from the folder before it. The walk never leaves the root, even when
 * folders or links change meanwhile, so it cannot read or reveal anything outside. It needs /proc/self/fd (proc(5));
 * without it, as on systems other than Linux, every path is refused.
 */
export class RootedWalk {
  readonly #path: string;
  readonly #root: FileHandle;
  /** The names of the root as configured and with its links resolved. An absolute path may start with either. */
  readonly #rootNames: readonly (readonly string[])[];
  /** The open folders from the root to the current one, without the root. */
  #trail: FileHandle[] = [];

  private constructor(path: string, root: FileHandle, rootNames: readonly (readonly string[])[]) {
    this.#path = path;
    this.#root = root;
    this.#rootNames = rootNames;
  }

  /**
   * Makes a walk to `path` that starts at the root. Throws PATH_NOT_ALLOWED when the root is undefined or not a folder,
   * and for a path that contains `..`; targets of links may contain it.
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
   * Walks to the last folder of the path; with `follow` it also follows a link at the end of the path. Null when a
   * folder on the way is missing. Throws PATH_NOT_ALLOWED when the path leads out of the root.
   */
  async find({ follow }: { follow: boolean }): Promise<Place | null> {
    let ahead = this.#check(this.#path.startsWith('/') ? this.#belowRoot(this.#path) : namesOf(this.#path));
    for (let links = 0; links <= MAX_LINKS; ) {
      const [name, ...rest] = ahead;
      const folder = this.#trail.at(-1) ?? this.#root;
      if (name === undefined) return { folder, name: ITSELF };
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

  /** Throws PATH_NOT_ALLOWED when an open file is neither below the root nor the root: it was moved after the walk. */
  async checkLocation(handle: FileHandle): Promise<void> {
    const root = await readLink(within(this.#root));
    const location = await readLink(within(handle));
    const prefix = root === '/' ? '/' : `${root}/`;
    if (root === null || !(location === root || location?.startsWith(prefix))) throw pathNotAllowed(this.#path);
  }

  /** Closes every folder. */
  async close(): Promise<void> {
    await this.#leave(this.#trail.length);
    await this.#root.close();
  }

  /** The names of an absolute path below the root. Throws PATH_NOT_ALLOWED for a path outside. */
  #belowRoot(path: string): string[] {
    const names = namesOf(path);
    const root = this.#rootNames.find((root) => root.every((name, index) => name === names[index]));
    if (root === undefined) throw pathNotAllowed(this.#path);
    return names.slice(root.length);
  }

  /** Returns the names. Throws PATH_NOT_ALLOWED when they lead above the root, whether the folders exist or not. */
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
    // It became a link after it was checked.
    if (entry.isSymbolicLink()) throw pathNotAllowed(this.#path);
    return entry.isDirectory();
  }

  async #leave(folders: number): Promise<void> {
    for (const folder of this.#trail.splice(this.#trail.length - folders)) await folder.close();
  }
}

/**
 * The path of an open folder, or of a name in it. The system starts at the open folder itself, even when the folder was
 * moved.
 */
export function within(folder: FileHandle, name?: string): string {
  return `/proc/self/fd/${folder.fd}${name === undefined ? '' : `/${name}`}`;
}

/** The result of `work`; null when the path does not exist. Throws PATH_NOT_ALLOWED when the system refuses access. */
export async function orNull<Value>(path: string, work: () => Promise<Value>): Promise<Value | null> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (MISSING.includes(code)) return null;
    throw REFUSED.includes(code) ? pathNotAllowed(path, error) : error;
  }
}

/** The result of `work`. Throws PATH_NOT_ALLOWED when the path does not exist or the system refuses access. */
export async function orRefuse<Value>(path: string, work: () => Promise<Value>): Promise<Value> {
  const value = await orNull(path, work);
  if (value === null) throw pathNotAllowed(path);
  return value;
}

/** One error for all paths that are not allowed, so that it does not reveal which of them exist. */
export function pathNotAllowed(path: string, cause?: unknown): DarkroomError {
  const expected = 'a regular file below the folder that --path-root names';
  return new DarkroomError('PATH_NOT_ALLOWED', expectedMessage(expected, 'path', path), { cause });
}

/** The target of a link; null when the path is not a link or does not exist. */
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
 * True for `..`, because after a link it leads to another folder than the text suggests. True also for a name that is
 * `..` or has a NUL after one or more rounds of percent-decoding. The walk itself decodes nothing; a name like `%2e%2e`
 * is refused because it is an attack and not a folder.
 */
function leadsUp(name: string): boolean {
  if (name === '..') return true;
  const decoded = name.replace(/%(?:25)*(2e|2f|5c|00)/gi, (_all, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return decoded !== name && /(^|[/\\])\.\.([/\\]|$)|\0/.test(decoded);
}
