import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';

/** Raised whenever the table changes; kept in the file as `user_version`. */
const SCHEMA_VERSION = 1;
/** Milliseconds to wait for somebody else's lock on the store, such as a backup tool's. */
const BUSY_MILLISECONDS = 5000;
/** `PRAGMA synchronous` as SQLite numbers it: FULL fsyncs the write-ahead log at every commit. */
const SYNCHRONOUS_FULL = 2;

/**
 * One row a task. `sequence` is the order of submission. Times are milliseconds since 1970; header, operations,
 * outputs, error and timings are JSON in the shapes of task-record.ts. `outputs_kept` is 1 while output files are owed.
 */
const TABLES = `
  CREATE TABLE tasks (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'canceled')),
    attempt INTEGER NOT NULL DEFAULT 0,
    strikes INTEGER NOT NULL DEFAULT 0,
    suspect INTEGER NOT NULL DEFAULT 0,
    filename TEXT,
    header TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    operations TEXT NOT NULL,
    outputs TEXT NOT NULL DEFAULT '[]',
    outputs_kept INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    timings TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    expires_at INTEGER
  ) STRICT;
  CREATE INDEX tasks_open ON tasks (status, sequence) WHERE finished_at IS NULL;
  CREATE INDEX tasks_kept ON tasks (expires_at) WHERE outputs_kept = 1;
  CREATE INDEX tasks_ended ON tasks (expires_at) WHERE expires_at IS NOT NULL;
`;

/**
 * Opens the store for its one writer and lays out the table when the file is new. Throws when SQLite does not confirm
 * WAL and synchronous=FULL, without which "accepted means safe" would not hold, or when the file is of another version.
 */
export function openForWriting(path: string): DatabaseSyncInstance {
  return openWith(new DatabaseSync(path, { timeout: BUSY_MILLISECONDS }), (database) => {
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    if (readPragma(database, 'user_version') === 0) {
      database.exec(`BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
    }
    expectPragma(database, 'journal_mode', 'wal');
    expectPragma(database, 'synchronous', SYNCHRONOUS_FULL);
    expectPragma(database, 'user_version', SCHEMA_VERSION);
  });
}

/** Opens the store, which {@link openForWriting} has laid out, for reading only. Throws as that does. */
export function openForReading(path: string): DatabaseSyncInstance {
  return openWith(new DatabaseSync(path, { timeout: BUSY_MILLISECONDS, readOnly: true }), (database) => {
    expectPragma(database, 'journal_mode', 'wal');
    expectPragma(database, 'user_version', SCHEMA_VERSION);
  });
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
