import { readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';

/** The names of all pictures in a data folder, sorted: files in the spool, and small pictures in the store. */
export async function pictureNames(dataDir: string): Promise<string[]> {
  return [...(await spoolFiles(dataDir)), ...storedNames(dataDir)].sort();
}

/** The names of the files in the spool, sorted. */
export async function spoolFiles(dataDir: string): Promise<string[]> {
  return (await readdir(join(dataDir, 'spool'))).sort();
}

/** The names of the pictures in the store, sorted. */
export function storedNames(dataDir: string): string[] {
  return withStore(dataDir, 'read', (store) =>
    store
      .prepare('SELECT name FROM pictures ORDER BY name')
      .all()
      .map((row) => String(row['name'])),
  );
}

/** The bytes of a picture, wherever it is. */
export async function readPicture(dataDir: string, name: string): Promise<Buffer> {
  const row = withStore(dataDir, 'read', (store) =>
    store.prepare('SELECT bytes FROM pictures WHERE name = ?').get(name),
  );
  const stored = row?.['bytes'];
  return stored instanceof Uint8Array ? Buffer.from(stored) : readFile(join(dataDir, 'spool', name));
}

/** Puts other bytes in the place of a picture, wherever it is, as damage to the disk does. */
export async function damagePicture(dataDir: string, name: string, bytes: Uint8Array): Promise<void> {
  const change = 'UPDATE pictures SET size = ?, bytes = ? WHERE name = ?';
  const { changes } = withStore(dataDir, 'write', (store) => store.prepare(change).run(bytes.length, bytes, name));
  if (changes === 0) await writeFile(join(dataDir, 'spool', name), bytes);
}

/** Removes a picture, wherever it is, although its record names it. */
export async function losePicture(dataDir: string, name: string): Promise<void> {
  const { changes } = withStore(dataDir, 'write', (store) =>
    store.prepare('DELETE FROM pictures WHERE name = ?').run(name),
  );
  if (changes === 0) await unlink(join(dataDir, 'spool', name));
}

/** A connection that only reads leaves the write-ahead log of a service that was killed as it is. */
function withStore<Value>(dataDir: string, mode: 'read' | 'write', use: (store: DatabaseSyncInstance) => Value): Value {
  const store = new DatabaseSync(join(dataDir, 'store.db'), { timeout: 5000, readOnly: mode === 'read' });
  try {
    return use(store);
  } finally {
    store.close();
  }
}
