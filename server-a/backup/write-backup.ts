import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { backup, DatabaseSync } from '@photostructure/sqlite';
import { systemCode } from '../../shared/errors.ts';
import type { Spool } from '../spool/spool.ts';
import { STORE_FILE } from '../store/check-content.ts';
import { markClosed, readIdentity } from '../store/identity.ts';
import type { System } from '../system.ts';
import { ARCHIVE, type Manifest, namedPictures, StoredPictures, sha256Of } from './archive.ts';
import { pack } from './tar.ts';

/** Pictures in the store that are counted at a time. */
const STORED_AT_ONCE = 256;

/** What a backup is made of. */
export interface BackupParts {
  /** The data folder. */
  readonly folder: string;
  readonly spool: Spool;
  readonly system: System;
}

/** What a backup has. */
export interface BackupResult {
  readonly pictures: number;
  /** Pictures that records name and that are missing. */
  readonly missing: number;
}

/**
 * Yields a tar archive of all records and of the pictures that they name, as they are at one moment, while tasks begin and
 * end. Removals wait until the files of that moment have second names; the archive is then read from those. Throws the
 * errors of SQLite and of the system, and the signal's reason.
 */
export async function* writeBackup(parts: BackupParts, signal: AbortSignal): AsyncGenerator<Uint8Array, BackupResult> {
  const { system } = parts;
  const folder = join(parts.folder, `backup-${system.newId()}`);
  await mkdir(join(folder, ARCHIVE.spool), { recursive: true, mode: 0o700 });
  try {
    const manifest = await collect(parts, folder);
    await writeFile(join(folder, ARCHIVE.manifest), `${JSON.stringify(manifest)}\n`, { mode: 0o600 });
    const pictures = (await readdir(join(folder, ARCHIVE.spool))).map((name) => `${ARCHIVE.spool}/${name}`);
    const names = [ARCHIVE.manifest, ARCHIVE.store, ...pictures];
    for await (const chunk of pack(names.map((name) => ({ name, path: join(folder, name) })))) {
      signal.throwIfAborted();
      yield chunk;
    }
    return { pictures: manifest.files + manifest.stored, missing: manifest.missing };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Copies the store to `folder` and links the files that the copy names. */
async function collect({ folder: dataFolder, spool, system }: BackupParts, folder: string): Promise<Manifest> {
  const path = join(folder, ARCHIVE.store);
  let files = 0;
  let stored = 0;
  let missing = 0;
  // A file that the copy names is removed only after a later change of its record.
  const release = spool.hold();
  try {
    await copyStore(join(dataFolder, STORE_FILE), path);
    const copy = new DatabaseSync(path);
    try {
      // The copy has no log of its own that could be lost.
      markClosed(copy);
      const pictures = new StoredPictures(copy);
      for (const { name } of namedPictures(copy)) {
        if (pictures.has(name)) {
          stored += 1;
          // The event loop is for others, too.
          if (stored % STORED_AT_ONCE === 0) await setImmediate();
        } else if (await link(spool.path(name), join(folder, ARCHIVE.spool, name), system)) files += 1;
        else missing += 1;
      }
      const identity = readIdentity(copy);
      if (identity === null) throw new Error('The copy of the store has no identity.');
      const { id, opened } = identity;
      const created_at = new Date(system.clock.now()).toISOString();
      const sha256 = await sha256Of(path);
      const about = { format: 'darkroom backup', version: 1, created_at, store: id, opened, sha256 } as const;
      return { ...about, files, stored, missing };
    } finally {
      copy.close();
    }
  } finally {
    release();
  }
}

/** Copies all pages in one step, so that the copy is of one moment and no writer can start it again. */
async function copyStore(from: string, to: string): Promise<void> {
  const source = new DatabaseSync(from, { readOnly: true });
  try {
    await backup(source, to, { rate: -1 });
  } finally {
    source.close();
  }
}

/** False when there is no such file. */
async function link(from: string, to: string, { files }: System): Promise<boolean> {
  try {
    await files.link(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
