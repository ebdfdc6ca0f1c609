import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { MIGRATIONS, SCHEMA_VERSION, TABLES } from './tables.ts';

/** Milliseconds to wait for a lock that another process holds on the store, such as a backup tool. */
const BUSY_MS = 5000;
/** `PRAGMA synchronous` as SQLite numbers it: FULL fsyncs the write-ahead log at every commit. */
const SYNCHRONOUS_FULL = 2;

/** Opens the store for its only writer. Throws like {@link prepareForWriting}. */
export function openForWriting(path: string): DatabaseSyncInstance {
  return openWith(new DatabaseSync(path, { timeout: BUSY_MS }), prepareForWriting);
}

/**
 * Creates the tables in a new file and migrates the tables of an older version. Throws when the version is unknown, or
 * when SQLite does not confirm WAL and synchronous=FULL, which durability needs.
 */
export function prepareForWriting(database: DatabaseSyncInstance): void {
  // Only a new file takes this on; an older one uses its free pages again, but keeps its size.
  database.exec('PRAGMA auto_vacuum = INCREMENTAL');
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL');
  migrate(database);
  expectPragma(database, 'journal_mode', 'wal');
  expectPragma(database, 'synchronous', SYNCHRONOUS_FULL);
  expectPragma(database, 'user_version', SCHEMA_VERSION);
}

/** Opens a store read-only after {@link openForWriting}. Throws when the file has another version or no WAL. */
export function openForReading(path: string): DatabaseSyncInstance {
  return openWith(new DatabaseSync(path, { timeout: BUSY_MS, readOnly: true }), (database) => {
    expectPragma(database, 'journal_mode', 'wal');
    expectPragma(database, 'user_version', SCHEMA_VERSION);
  });
}

/** Runs in one transaction, so that an interrupted migration changes nothing. */
function migrate(database: DatabaseSyncInstance): void {
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
