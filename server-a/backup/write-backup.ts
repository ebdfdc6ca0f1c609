import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { backup, DatabaseSync } from '@photostructure/sqlite';
import { systemCode } from '../../shared/errors.ts';
import type { Spool } from '../spool/spool.ts';
import { STORE_FILE } from '../store/check-content.ts';
import { markClosed, readIdentity } from '../store/identity.ts';
import type { System } from '../system.ts';
import { ARCHIVE, type Manifest, namedFiles, sha256Of } from './archive.ts';
import { pack } from './tar.ts';

/** What a backup is made of. */
export interface BackupParts {
  /** The data folder. */
  readonly folder: string;
  readonly spool: Spool;
  readonly system: System;
}

/** What a backup has. */
export interface BackupResult {
  readonly files: number;
  /** Files that records name and that are missing on disk. */
  readonly missing: number;
}

/**
 * Yields a tar archive of all records and of the files that they name, as they are at one moment, while tasks begin and
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
    return { files: manifest.files, missing: manifest.missing };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Copies the store to `folder` and links the files that the copy names. */
async function collect({ folder: dataFolder, spool, system }: BackupParts, folder: string): Promise<Manifest> {
  const path = join(folder, ARCHIVE.store);
  let files = 0;
  let missing = 0;
  // A file that the copy names is removed only after a later change of its record.
  const release = spool.hold();
  try {
    await copyStore(join(dataFolder, STORE_FILE), path);
    const copy = new DatabaseSync(path);
    try {
      // The copy has no log of its own that could be lost.
      markClosed(copy);
      for (const { name } of namedFiles(copy)) {
        if (await link(spool.path(name), join(folder, ARCHIVE.spool, name), system)) files += 1;
        else missing += 1;
      }
      const identity = readIdentity(copy);
      if (identity === null) throw new Error('The copy of the store has no identity.');
      const { id: store, opened } = identity;
      const created_at = new Date(system.clock.now()).toISOString();
      const sha256 = await sha256Of(path);
      return { format: 'darkroom backup', version: 1, created_at, store, opened, sha256, files, missing };
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
