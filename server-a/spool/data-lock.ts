import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { z } from 'zod';
import { type Clock, SYSTEM_CLOCK } from '../../shared/clock.ts';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';

const ownerSchema = z.object({ pid: z.int(), host: z.string(), since: z.string() });

/**
 * The one owner of a data folder. The lock is an exclusive transaction on `lock.db`, so the system frees it however the
 * process ends; `lock.json` beside it only says who holds it.
 */
export class DataLock {
  /** Keeps each held lock reachable: a database that is garbage collected is closed, and its lock gone with it. */
  static readonly #held = new Set<DataLock>();
  readonly #database: DatabaseSyncInstance;
  readonly #ownerFile: string;

  private constructor(database: DatabaseSyncInstance, ownerFile: string) {
    this.#database = database;
    this.#ownerFile = ownerFile;
  }

  /**
   * Takes the lock of an existing folder. Throws BAD_REQUEST when the folder cannot be written, and one that names the
   * owner when it is in use.
   */
  static take(folder: string, clock: Clock = SYSTEM_CLOCK): DataLock {
    const ownerFile = join(folder, 'lock.json');
    const database = openDatabase(folder);
    try {
      database.exec('BEGIN EXCLUSIVE');
      const owner = { pid: process.pid, host: hostname(), since: new Date(clock.now()).toISOString() };
      writeFileSync(ownerFile, `${JSON.stringify(owner)}\n`);
      const lock = new DataLock(database, ownerFile);
      DataLock.#held.add(lock);
      return lock;
    } catch (error) {
      database.close();
      const message = `Expected to be the only owner of ${folder}, received: in use by ${readOwner(ownerFile)}`;
      throw isBusy(error) ? new DarkroomError('BAD_REQUEST', message, { cause: error }) : notWritable(folder, error);
    }
  }

  /** Gives the folder free; a lock that is only forgotten stays held. Idempotent. */
  release(): void {
    if (!this.#database.isOpen) return;
    rmSync(this.#ownerFile, { force: true });
    this.#database.close();
    DataLock.#held.delete(this);
  }
}

function openDatabase(folder: string): DatabaseSyncInstance {
  try {
    return new DatabaseSync(join(folder, 'lock.db'));
  } catch (error) {
    throw notWritable(folder, error);
  }
}

function notWritable(folder: string, cause: unknown): DarkroomError {
  return new DarkroomError('BAD_REQUEST', expectedMessage('a folder that can be written', '--data-dir', folder), {
    cause,
  });
}

/** SQLITE_BUSY (5, https://sqlite.org/rescode.html#busy): somebody else holds the lock. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5;
}

function readOwner(path: string): string {
  try {
    const { pid, host, since } = ownerSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    return `process ${pid} on ${host} since ${since}`;
  } catch {
    // The owner has just come or is just leaving; that there is one is all that matters.
    return 'another process';
  }
}
