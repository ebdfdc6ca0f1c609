import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { nanoid } from 'nanoid';
import { syncFolder } from '../../shared/durable-folder.ts';
import { type FileSystem, NODE_FILES } from '../../shared/file-system.ts';
import { ITSELF, orNull, orRefuse, pathNotAllowed, RootedWalk, within } from './walk.ts';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
/** Without O_NONBLOCK, open(2) of a FIFO waits for a writer. */
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
const CREATE = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;

/** A file below the root. */
export interface OpenedFile {
  /** Open for reading; the caller closes it. */
  readonly handle: FileHandle;
  /** The requested path, made absolute; links in it are not resolved. */
  readonly path: string;
}

/**
 * Opens a regular file below `root` for reading. `path` is absolute or relative to the root; all links are resolved and
 * must stay below the root. Null when there is no such file; `no-file` for a folder, also the root itself, which is what
 * an empty path names, and for other things that are no regular file. Throws PATH_NOT_ALLOWED for every path outside the
 * root, whether it exists or not, and for what the system refuses to open.
 */
export async function openBelow(root: string | undefined, path: string): Promise<OpenedFile | 'no-file' | null> {
  const walk = await RootedWalk.start(root, path);
  try {
    const place = await walk.find({ follow: true });
    const handle = place && (await orNull(path, () => open(within(place.folder, place.name), READ)));
    if (handle === null) return null;
    const isFile = await closeOnError(handle, async () => {
      await walk.checkLocation(handle);
      return (await handle.stat()).isFile();
    });
    if (isFile) return { handle, path: absolute(root, path) };
    await handle.close();
    return 'no-file';
  } finally {
    await walk.close();
  }
}

/**
 * Writes the file `path` below `root` atomically and durably, with mode 0644: `write` fills a temporary file in the
 * same folder, which is then renamed. A link at `path` is replaced, not followed. Resolves with the requested path,
 * made absolute. Throws PATH_NOT_ALLOWED when the folder is not below the root or is not writable, and the errors of
 * `write`; no file is left then.
 */
export async function writeBelow(
  root: string | undefined,
  path: string,
  write: (handle: FileHandle) => Promise<void>,
  files: FileSystem = NODE_FILES,
): Promise<string> {
  const walk = await RootedWalk.start(root, path);
  try {
    const place = await walk.find({ follow: false });
    if (place === null || place.name === ITSELF) throw pathNotAllowed(path);
    const temporary = within(place.folder, `.darkroom-${nanoid()}`);
    const handle = await orRefuse(path, () => files.open(temporary, CREATE, 0o600));
    try {
      await closeOnError(handle, async () => {
        await walk.checkLocation(handle);
        await write(handle);
        await handle.chmod(0o644);
        await handle.sync();
      });
      await handle.close();
      await orRefuse(path, () => files.rename(temporary, within(place.folder, place.name)));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncFolder(within(place.folder), files);
    return absolute(root, path);
  } finally {
    await walk.close();
  }
}

async function closeOnError<Value>(handle: FileHandle, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function absolute(root: string | undefined, path: string): string {
  return isAbsolute(path) ? path : join(resolve(root ?? ''), path);
}
