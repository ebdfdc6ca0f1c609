import type { DatabaseSyncInstance } from '@photostructure/sqlite';

/**
 * One row: the store's id, the number of times it was opened for writing, and if it is open. It has no version of its
 * own and is added to stores of any version.
 *
 * While the store is open, `is_open` is 1 in store.db itself, without the write-ahead log: committed records may be in
 * the log alone then, and a store that says so without a log has lost them.
 */
const TABLE = `
  CREATE TABLE IF NOT EXISTS identity (
    id TEXT NOT NULL,
    opened INTEGER NOT NULL,
    is_open INTEGER NOT NULL
  ) STRICT;
  INSERT INTO identity SELECT lower(hex(randomblob(16))), 0, 0 WHERE NOT EXISTS (SELECT id FROM identity);
`;

/** What a store is called, and how often it was opened. */
export interface Identity {
  readonly id: string;
  readonly opened: number;
}

/** An identity as the store has it. */
export interface StoredIdentity extends Identity {
  readonly isOpen: boolean;
}

/** The store's identity and if it was left open; null for a store of a Darkroom that did not write one. */
export function readIdentity(database: DatabaseSyncInstance): StoredIdentity | null {
  const table = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'identity'").get();
  const row = table === undefined ? undefined : database.prepare('SELECT id, opened, is_open FROM identity').get();
  // The table is STRICT, so the types are right. No schema here: the writer thread starts sooner without zod.
  return row === undefined
    ? null
    : { id: String(row['id']), opened: Number(row['opened']), isOpen: row['is_open'] === 1 };
}

/**
 * Moves every record to store.db, then marks the store as open and counts it, in store.db itself. Gives the identity for the marker: the count is one less
 * when another process prevented the checkpoint, because store.db does not have the new one then.
 */
export function markOpen(database: DatabaseSyncInstance): Identity {
  database.exec(`BEGIN IMMEDIATE; ${TABLE} COMMIT`);
  // The log starts empty, so that damage to it is damage to the records of this life. It may be empty only now.
  markClosed(database);
  database.exec('UPDATE identity SET opened = opened + 1, is_open = 1');
  const isWritten = checkpoint(database, 'FULL');
  const identity = readIdentity(database);
  if (identity === null) throw new Error('The store has no identity after it was written.');
  return { id: identity.id, opened: isWritten ? identity.opened : identity.opened - 1 };
}

/**
 * Marks the store as closed and moves every record from the write-ahead log to store.db. False when another process
 * prevented that; the log has the records then, and the next start reads it.
 */
export function markClosed(database: DatabaseSyncInstance): boolean {
  database.exec('UPDATE identity SET is_open = 0');
  return checkpoint(database, 'TRUNCATE');
}

/** Copies the write-ahead log to store.db (https://sqlite.org/pragma.html#pragma_wal_checkpoint); true if all of it. */
function checkpoint(database: DatabaseSyncInstance, mode: 'FULL' | 'TRUNCATE'): boolean {
  const row = database.prepare(`PRAGMA wal_checkpoint(${mode})`).get();
  return row?.['busy'] === 0 && row['log'] === row['checkpointed'];
}
