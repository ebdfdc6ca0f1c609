import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { systemCode } from '../../shared/errors.ts';
import { mismatch, STORE_FILE } from './check-content.ts';
import { readIdentity, type StoredIdentity } from './identity.ts';
import { type Marker, readMarker } from './marker.ts';
import { isDamage, StoreRefusal } from './refusal.ts';
import { inspectWal, type WalState } from './wal-file.ts';

/** The first bytes of every database (https://sqlite.org/fileformat2.html#the_database_header). */
const MAGIC = 'SQLite format 3\0';

/**
 * Compares the store's files with the marker and the spool before SQLite opens them, because SQLite would make a new
 * store in place of a lost one and ignore a damaged log. Changes nothing. Gives the marker. Throws
 * {@link StoreRefusal} when accepted pictures or records may be lost.
 */
export async function checkFiles(folder: string, spool: string): Promise<Marker> {
  const marker = await readMarker(folder);
  const path = join(folder, STORE_FILE);
  const wal = await inspectWal(path);
  const start = await readStart(path);
  if (start === null || start.length === 0) {
    const files = await countFiles(spool);
    const reason = reasonAgainstNew(start === null ? 'is missing' : 'has 0 bytes', { marker, wal, files });
    if (reason !== null) throw new StoreRefusal(folder, reason);
    return null;
  }
  if (start.toString('latin1') !== MAGIC) throw new StoreRefusal(folder, `${STORE_FILE} is not a SQLite database`);
  if (wal.kind === 'damaged')
    throw new StoreRefusal(folder, `${STORE_FILE}-wal is damaged or cut off, and has lost records`);
  const reason = reasonAgainstMain(peek(path, wal), wal, marker);
  if (reason !== null) throw new StoreRefusal(folder, reason);
  return marker;
}

/** Why a folder without a store does not get a new one; null when it does. */
function reasonAgainstNew(
  state: string,
  { marker, wal, files }: { marker: Marker; wal: WalState; files: number },
): string | null {
  const beside = [
    ...(marker === null ? [] : ['the marker of a store']),
    ...(wal.kind === 'none' && wal.bytes === 0 ? [] : [`${STORE_FILE}-wal`]),
    ...(files === 0 ? [] : [files === 1 ? '1 file in the spool' : `${files} files in the spool`]),
  ];
  return beside.length === 0 ? null : `${STORE_FILE} ${state}, but there is ${beside.join(' and ')}`;
}

/** What store.db says without its log: its identity, nothing (`null`: it has none), or that it cannot be read. */
type Peek = { readonly identity: StoredIdentity | null } | { readonly damage: string };

/** Why store.db, read without its log, is refused; null when it is not. */
function reasonAgainstMain(main: Peek, wal: WalState, marker: Marker): string | null {
  // A checkpoint that was cut off leaves store.db incomplete; the log completes it.
  if ('damage' in main) return wal.kind === 'none' ? `${STORE_FILE} is damaged (${main.damage})` : null;
  const { identity } = main;
  if (wal.kind === 'none') {
    if (identity?.isOpen === true || wal.isLost)
      return `${STORE_FILE}-wal, which held the last records, is ${stateOf(wal)}`;
    if (identity === null && wal.bytes > 0) return `${STORE_FILE}-wal is damaged`;
  }
  return identity === null ? null : mismatch(identity, marker);
}

function stateOf({ bytes }: Extract<WalState, { kind: 'none' }>): string {
  return bytes === 0 ? 'missing or empty' : 'damaged';
}

/** Reads store.db alone. `immutable` makes SQLite ignore the log and change nothing (https://sqlite.org/uri.html). */
function peek(path: string, wal: WalState): Peek {
  let database: DatabaseSyncInstance | undefined;
  try {
    database = new DatabaseSync(`${pathToFileURL(path)}?immutable=1`, { readOnly: true });
    return { identity: readIdentity(database) };
  } catch (error) {
    if (wal.kind === 'none' && !isDamage(error)) throw error;
    return { damage: error instanceof Error ? error.message : String(error) };
  } finally {
    database?.close();
  }
}

/** The first bytes of a file, as many as the magic has; null when there is no file. */
async function readStart(path: string): Promise<Buffer | null> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function countFiles(spool: string): Promise<number> {
  try {
    return (await readdir(spool, { withFileTypes: true })).filter((entry) => !entry.isDirectory()).length;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
