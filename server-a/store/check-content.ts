import { dirname } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { type Identity, readIdentity } from './identity.ts';
import type { Marker } from './marker.ts';
import { StoreRefusal } from './refusal.ts';

/** The store's name in the data folder. SQLite adds `-wal` and `-shm`. */
export const STORE_FILE = 'store.db';

/**
 * Reads every page of the records (`PRAGMA quick_check`) and compares the store's identity with the marker. Pictures are
 * not read, as files are not: there may be gigabytes of them, and a damaged one is found when it is asked for. Leaves the
 * write-ahead log as it is. Throws {@link StoreRefusal}.
 */
export function checkContent(path: string, marker: Marker): void {
  const folder = dirname(path);
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    for (const table of ['sqlite_schema', ...recordTables(database)]) {
      const [problem] = database.prepare(`PRAGMA quick_check('${table}')`).all().map(Object.values);
      if (problem?.[0] !== 'ok') throw new StoreRefusal(folder, `${STORE_FILE} is damaged (${problem?.[0]})`);
    }
    const reason = mismatch(readIdentity(database), marker);
    if (reason !== null) throw new StoreRefusal(folder, reason);
  } finally {
    database.close();
  }
}

/** The names of the tables except that of the pictures. */
function recordTables(database: DatabaseSyncInstance): string[] {
  const rows = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'pictures'").all();
  return rows.map((row) => String(row['name']));
}

/** Why a store with this identity is not the one of the marker; null when it is. */
export function mismatch(identity: Identity | null, marker: Marker): string | null {
  // Without a marker, the store is of an older Darkroom, or of a first start that was cut off.
  if (marker === null || marker === 'unreadable') return null;
  if (identity?.id !== marker.id) return `${STORE_FILE} is not the store that the marker names`;
  return identity.opened < marker.opened ? `${STORE_FILE} is an older copy of the store` : null;
}
