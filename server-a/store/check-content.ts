import { dirname } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { type Identity, readIdentity } from './identity.ts';
import type { Marker } from './marker.ts';
import { StoreRefusal } from './refusal.ts';

/** The store's name in the data folder. SQLite adds `-wal` and `-shm`. */
export const STORE_FILE = 'store.db';

/**
 * Reads every page of the store (`PRAGMA quick_check`) and compares its identity with the marker. Leaves the
 * write-ahead log as it is. Throws {@link StoreRefusal}.
 */
export function checkContent(path: string, marker: Marker): void {
  const folder = dirname(path);
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const [problem] = database.prepare('PRAGMA quick_check(1)').all().map(Object.values);
    if (problem?.[0] !== 'ok') throw new StoreRefusal(folder, `${STORE_FILE} is damaged (${problem?.[0]})`);
    const reason = mismatch(readIdentity(database), marker);
    if (reason !== null) throw new StoreRefusal(folder, reason);
  } finally {
    database.close();
  }
}

/** Why a store with this identity is not the one of the marker; null when it is. */
export function mismatch(identity: Identity | null, marker: Marker): string | null {
  // Without a marker, the store is of an older Darkroom, or of a first start that was cut off.
  if (marker === null || marker === 'unreadable') return null;
  if (identity?.id !== marker.id) return `${STORE_FILE} is not the store that the marker names`;
  return identity.opened < marker.opened ? `${STORE_FILE} is an older copy of the store` : null;
}
