import { basename, join, resolve } from 'node:path';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { failpointAfter } from '../../shared/failpoint.ts';
import type { Logger } from '../../shared/log.ts';
import { outputNameSchema } from '../../shared/operations/definition.ts';
import { SYSTEM, type System } from '../system.ts';
import { FolderSync } from './folder-sync.ts';
import { orStorageFull, type Removal, SpoolFile, type SpoolFileKind, type SpoolFolder } from './spool-file.ts';

/** The owner of a file in the spool, read from its name. */
export type SpoolName =
  | { readonly kind: 'input'; readonly id: string }
  | { readonly kind: 'output'; readonly id: string; readonly attempt: number; readonly output: string }
  | { readonly kind: 'temporary' }
  | { readonly kind: 'other' };

/** The name of a file that is being written. */
const TEMPORARY = /^[\w-]{21}\.tmp$/;

/** The name of a task's input file. */
export function inputName(id: string): string {
  return `${id}.input`;
}

/** The name of an output file. With the attempt, files of a lost attempt and of the next one have different names. */
export function outputName(id: string, attempt: number, output: string): string {
  return `${id}.${attempt}.${output}`;
}

/** Reads a file's name; a name that is not ours is `other`. */
export function parseSpoolName(name: string): SpoolName {
  if (TEMPORARY.test(name)) return { kind: 'temporary' };
  const [id = '', second = '', third = ''] = name.split('.');
  if (name === inputName(id)) return { kind: 'input', id };
  const output = outputNameSchema.safeParse(third);
  const attempt = Number(second);
  if (!output.success || name !== outputName(id, attempt, output.data)) return { kind: 'other' };
  return { kind: 'output', id, attempt, output: output.data };
}

/** The folder of inputs and outputs, and the count of their bytes. */
export class Spool implements SpoolFolder {
  readonly #folder: string;
  readonly #folderSync: FolderSync;
  readonly #log: Logger;
  readonly #system: System;
  #bytes = 0;
  #isPreserved = false;
  /** Settles when the removals that wait may go on; one for each hold. */
  readonly #holds = new Set<Promise<void>>();

  private constructor(folder: string, folderSync: FolderSync, log: Logger, system: System) {
    this.#folder = folder;
    this.#folderSync = folderSync;
    this.#log = log;
    this.#system = system;
  }

  /** Opens the folder, or makes it with mode 0700. {@link adopt} counts a file that is in it. */
  static async open(folder: string, log: Logger, system: System = SYSTEM): Promise<Spool> {
    const absolute = resolve(folder);
    await system.files.mkdir(absolute, 0o700);
    return new Spool(absolute, await FolderSync.open(absolute, system.files), log, system);
  }

  /** Bytes of all files, and of all pictures that are being received. */
  get bytes(): number {
    return this.#bytes;
  }

  count(bytes: number): void {
    this.#bytes += bytes;
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#system.files.rename(from, to);
  }

  sync(): Promise<void> {
    return this.#folderSync.sync();
  }

  /** Bytes that can still be written to the disk. */
  freeBytes(): number {
    return this.#system.files.freeBytes(this.#folder);
  }

  /** A name for a file that is being written. */
  newName(): string {
    return `${this.#system.newId()}.tmp`;
  }

  /** Makes an empty file with a temporary name. Throws STORAGE_FULL when the disk is full. */
  async create(kind: SpoolFileKind, name = this.newName()): Promise<SpoolFile> {
    const path = this.path(name);
    const handle = await orStorageFull(() => this.#system.files.open(path, 'wx+', 0o600));
    return new SpoolFile(this, path, handle, kind);
  }

  /** Size of a file in bytes; null when there is no such file. */
  async size(name: string): Promise<number | null> {
    try {
      return (await this.#system.files.stat(this.path(name))).size;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return null;
      throw error;
    }
  }

  /**
   * Reads a stored input into `buffer`, again and again. Each piece is a view of `buffer`, until the next one is asked
   * for. The iteration throws SPOOL_CORRUPT when the file is missing or the disk cannot read it.
   */
  async *read(name: string, buffer: Uint8Array): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#system.files.read(this.path(name), buffer);
    } catch (error) {
      const code = systemCode(error);
      if (code !== 'ENOENT' && code !== 'EIO') throw error;
      const message = `The stored input cannot be read (${code}).`;
      throw new DarkroomError('SPOOL_CORRUPT', message, { cause: error });
    }
  }

  /**
   * Makes a hard link to a file, durably, and counts its bytes again. Throws SPOOL_CORRUPT when there is no such file,
   * and STORAGE_FULL when the disk is full.
   */
  async link(name: string, second: string): Promise<void> {
    try {
      await failpointAfter(
        orStorageFull(() => this.#system.files.link(this.path(name), this.path(second))),
        'input-linked',
      );
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      throw new DarkroomError('SPOOL_CORRUPT', 'The stored picture is missing on disk.', { cause: error });
    }
    this.#bytes += (await this.size(second)) ?? 0;
    await failpointAfter(this.sync(), 'input-folder-synced');
  }

  /** Stops all removals, because it is unknown which files the records own. The next start decides. */
  preserve(): void {
    this.#isPreserved = true;
  }

  /** Delays the removal of inputs and outputs until the function that this gives is called. */
  hold(): () => void {
    let release = () => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#holds.add(hold);
    return () => {
      this.#holds.delete(hold);
      release();
    };
  }

  /** Removes a counted file that no record owns, like {@link unlink}. */
  async remove(name: string): Promise<Removal> {
    // A file may be removable although its size cannot be read.
    const size = await this.size(name).catch(() => null);
    const removal = await this.unlink(this.path(name));
    if (removal === 'removed') this.#bytes -= size ?? 0;
    return removal;
  }

  /** Does not reject: a failed removal is logged, and the next start looks at the file again. */
  async unlink(path: string): Promise<Removal> {
    if (this.#holds.size > 0 && parseSpoolName(basename(path)).kind !== 'temporary') await Promise.all(this.#holds);
    if (this.#isPreserved) return 'stayed';
    try {
      await this.#system.files.unlink(path);
      return 'removed';
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return 'missing';
      const file = basename(path);
      const owner = parseSpoolName(file);
      const task_id = 'id' in owner ? owner.id : undefined;
      this.#log.warn({ task_id, err: error, file }, 'a spool file without an owner was not removed');
      return 'stayed';
    }
  }

  /** The names of all files. Folders are not ours: lost+found exists when the spool is a separate file system. */
  async names(): Promise<string[]> {
    const entries = await this.#system.files.readdir(this.#folder);
    return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  }

  /** Counts the bytes of a file that was there before this process. */
  async adopt(name: string): Promise<void> {
    this.#bytes += (await this.size(name)) ?? 0;
  }

  async close(): Promise<void> {
    await this.#folderSync.close();
  }
}
