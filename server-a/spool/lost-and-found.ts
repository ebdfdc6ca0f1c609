import { constants } from 'node:fs';
import { copyFile, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { syncFolder } from '../../shared/durable-folder.ts';
import { systemCode } from '../../shared/errors.ts';
import type { System } from '../system.ts';

/** Milliseconds for which files stay in lost+found. */
const KEPT_MS = 7 * 24 * 60 * 60 * 1000;
/** The folders of this class: the time, with hyphens for colons. A file system may have put others beside them. */
const FOLDER_NAME = /^(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d\.\d{3}Z)$/;

/**
 * `lost+found` in the data folder: files that no record names, for a week, so that a person can look at them before they
 * are removed. Each start that moves files there makes a folder with the time as its name.
 */
export class LostAndFound {
  readonly #folder: string;
  readonly #system: System;

  constructor(dataFolder: string, system: System) {
    this.#folder = join(dataFolder, 'lost+found');
    this.#system = system;
  }

  /**
   * Moves files there durably, in the given order; missing ones are skipped. Gives the folder that has them now. Throws
   * the system's error; files that are moved by then stay moved.
   */
  async take(paths: readonly string[]): Promise<string> {
    const { files, clock } = this.#system;
    const folder = join(this.#folder, new Date(clock.now()).toISOString().replaceAll(':', '-'));
    await files.mkdir(folder, 0o700);
    for (const path of paths) await this.#move(path, join(folder, basename(path)));
    await syncFolder(folder, files);
    await syncFolder(this.#folder, files);
    return folder;
  }

  /** Removes what has been there for a week at `now`, milliseconds since 1970. */
  async expire(now: number): Promise<void> {
    for (const name of await namesIn(this.#folder)) {
      const time = Date.parse(name.replace(FOLDER_NAME, '$1:$2:$3'));
      if (FOLDER_NAME.test(name) && time + KEPT_MS <= now) await rm(join(this.#folder, name), { recursive: true });
    }
  }

  async #move(from: string, to: string): Promise<void> {
    try {
      await this.#system.files.rename(from, to);
    } catch (error) {
      if (systemCode(error) === 'EXDEV') return this.#copy(from, to);
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  }

  /** For a spool that is a file system of its own. */
  async #copy(from: string, to: string): Promise<void> {
    const { files } = this.#system;
    await copyFile(from, to, constants.COPYFILE_EXCL);
    // fsync(2) works on every descriptor of the file.
    await syncFolder(to, files);
    await files.unlink(from);
  }
}

/** The names in a folder; none when it does not exist or may not be read. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (['ENOENT', 'EACCES'].includes(systemCode(error) ?? '')) return [];
    throw error;
  }
}
