import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { MIGRATIONS, SCHEMA_VERSION, TABLES } from './tables.ts';

/** Milliseconds to wait for somebody else's lock on the store, such as a backup tool's. */
const BUSY_MS = 5000;
/** `PRAGMA synchronous` as SQLite numbers it: FULL fsyncs the write-ahead log at every commit. */
const SYNCHRONOUS_FULL = 2;

/** Opens the store for its one writer. Throws as {@link prepareForWriting} does. */
export function openForWriting(path: string): DatabaseSyncInstance {
  return openWith(new DatabaseSync(path, { timeout: BUSY_MS }), prepareForWriting);
}

/**
 * Lays out the tables when the file is new, and brings those of an older version to this one. Throws when SQLite does
 * not confirm WAL and synchronous=FULL, without which "accepted means safe" would not hold, or when the file is of a
 * version that is not known.
 */
export function prepareForWriting(database: DatabaseSyncInstance): void {
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL');
  layOut(database);
  expectPragma(database, 'journal_mode', 'wal');
  expectPragma(database, 'synchronous', SYNCHRONOUS_FULL);
  expectPragma(database, 'user_version', SCHEMA_VERSION);
}

/** Opens the store, which {@link openForWriting} has laid out, for reading only. Throws when it is not that store. */
export function openForReading(path: string): DatabaseSyncInstance {
  return openWith(new DatabaseSync(path, { timeout: BUSY_MS, readOnly: true }), (database) => {
    expectPragma(database, 'journal_mode', 'wal');
    expectPragma(database, 'user_version', SCHEMA_VERSION);
  });
}

/** One transaction for all of it: a migration that is cut off has not begun. */
function layOut(database: DatabaseSyncInstance): void {
  const version = readPragma(database, 'user_version');
  const change = version === 0 ? TABLES : MIGRATIONS.get(version);
  if (change === undefined) return;
  database.exec(`BEGIN IMMEDIATE; ${change} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
}

function openWith(
  database: DatabaseSyncInstance,
  prepare: (database: DatabaseSyncInstance) => void,
): DatabaseSyncInstance {
  try {
    prepare(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function readPragma(database: DatabaseSyncInstance, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}

function expectPragma(database: DatabaseSyncInstance, name: string, expected: string | number): void {
  const received = readPragma(database, name);
  if (received !== expected) throw new Error(`Expected ${expected} for the store's ${name}, received ${received}`);
}
