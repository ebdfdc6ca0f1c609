import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { z } from 'zod';
import { type Clock, SYSTEM_CLOCK } from '../../shared/clock.ts';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json.ts';

const ownerSchema = z.object({ pid: z.int(), host: z.string(), since: z.string() });

/**
 * The lock that gives a data folder one owner. It is an exclusive transaction on `lock.db`, so the system releases it
 * however the process ends. `lock.json` only describes the owner.
 */
export class DataLock {
  /** Keeps each lock reachable: a database that is garbage collected is closed, which releases the lock. */
  static readonly #held = new Set<DataLock>();
  readonly #database: DatabaseSyncInstance;
  readonly #ownerFile: string;

  private constructor(database: DatabaseSyncInstance, ownerFile: string) {
    this.#database = database;
    this.#ownerFile = ownerFile;
  }

  /**
   * Takes the lock of an existing folder. Throws BAD_REQUEST when the folder cannot be written, or has an owner; the
   * message names the owner.
   */
  static take(folder: string, clock: Clock = SYSTEM_CLOCK): DataLock {
    const ownerFile = join(folder, 'lock.json');
    const database = openDatabase(folder);
    try {
      database.exec('BEGIN EXCLUSIVE');
      const owner = { pid: process.pid, host: hostname(), since: new Date(clock.now()).toISOString() };
      writeFileSync(ownerFile, `${JSON.stringify(owner)}\n`, { mode: 0o600 });
      const lock = new DataLock(database, ownerFile);
      DataLock.#held.add(lock);
      return lock;
    } catch (error) {
      database.close();
      const message = `The folder ${folder} is in use by ${readOwner(ownerFile)}.`;
      throw isBusy(error) ? new DarkroomError('BAD_REQUEST', message, { cause: error }) : notWritable(folder, error);
    }
  }

  /** Releases the lock. Idempotent. */
  release(): void {
    if (!this.#database.isOpen) return;
    rmSync(this.#ownerFile, { force: true });
    this.#database.close();
    DataLock.#held.delete(this);
  }
}

function openDatabase(folder: string): DatabaseSyncInstance {
  const path = join(folder, 'lock.db');
  try {
    // SQLite would make it with mode 0644.
    closeSync(openSync(path, 'a', 0o600));
    return new DatabaseSync(path);
  } catch (error) {
    throw notWritable(folder, error);
  }
}

function notWritable(folder: string, cause: unknown): DarkroomError {
  return new DarkroomError('BAD_REQUEST', expectedMessage('a folder that can be written', '--data-dir', folder), {
    cause,
  });
}

/** SQLITE_BUSY (5, https://sqlite.org/rescode.html#busy): another process holds the lock. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5;
}

function readOwner(path: string): string {
  try {
    const { pid, host, since } = ownerSchema.parse(parseJson(readFileSync(path, 'utf8')));
    return `process ${pid} on ${host} since ${since}`;
  } catch {
    // The owner is about to write the file or has just removed it.
    return 'another process';
  }
}
