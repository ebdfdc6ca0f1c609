import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../shared/durable-folder.ts';
import { failpoint, failpointAfter } from '../../shared/failpoint.ts';
import type { Logger } from '../../shared/log.ts';
import { makeDataFolder } from '../spool/data-folder.ts';
import { DataLock } from '../spool/data-lock.ts';
import { LostAndFound } from '../spool/lost-and-found.ts';
import { makePrivate } from '../spool/private-files.ts';
import { Spool } from '../spool/spool.ts';
import { STORE_FILE } from '../store/check-content.ts';
import { checkFiles } from '../store/check-files.ts';
import { MARKER_FILE, writeMarker } from '../store/marker.ts';
import { StoreRefusal } from '../store/refusal.ts';
import { Store } from '../store/store.ts';
import type { System } from '../system.ts';
import { recover } from './recovery.ts';

/** An open data folder. */
export interface Data {
  /** Absolute path. */
  readonly folder: string;
  readonly lock: DataLock;
  readonly store: Store;
  readonly spool: Spool;
  readonly lostAndFound: LostAndFound;
}

export interface DataOptions {
  readonly dataDir: string;
  /** Move every file of a folder that would be refused to lost+found, and start with an empty store. */
  readonly newStore?: boolean | undefined;
  /** Called once when the store cannot be written any more. The error is logged in any case. */
  readonly onFatal?: ((error: Error) => void) | undefined;
}

/**
 * Locks the data folder, checks that its files and its store belong together, opens both and recovers the tasks. Throws
 * BAD_REQUEST when another process has the folder or it cannot be made, {@link StoreRefusal} when accepted pictures may
 * be lost, and closes everything then.
 */
export async function openData(options: DataOptions, log: Logger, system: System): Promise<Data> {
  const folder = await makeDataFolder(options.dataDir, system.files);
  const lock = DataLock.take(folder, system.clock);
  try {
    await removeWork(folder);
    makePrivate(folder, log);
    const lostAndFound = new LostAndFound(folder, system);
    const open = async () => ({
      folder,
      lock,
      lostAndFound,
      ...(await openFolder(folder, lostAndFound, options, log, system)),
    });
    try {
      const data = await open();
      if (options.newStore) log.warn('--new-store does nothing, because the store is sound');
      return data;
    } catch (error) {
      if (!options.newStore || !(error instanceof StoreRefusal)) throw error;
      await setEverythingAside(folder, lostAndFound, error, log, system);
      return await open();
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function openFolder(
  folder: string,
  lostAndFound: LostAndFound,
  options: DataOptions,
  log: Logger,
  system: System,
): Promise<{ store: Store; spool: Spool }> {
  const marker = await checkFiles(folder, spoolFolder(folder));
  const spool = await Spool.open(spoolFolder(folder), log, system);
  try {
    const onFatal = (error: Error) => {
      // It is unknown whether the last writes are on disk, and so which files the records own.
      spool.preserve();
      log.fatal({ err: error }, 'the store cannot be written any more');
      options.onFatal?.(error);
    };
    // Read while the writer thread checks the store: both take long when there are many tasks.
    const names = spool.names();
    // Awaited below, unless the store is refused: then it does not matter whether the names can be read.
    names.catch(() => undefined);
    const store = await Store.open(join(folder, STORE_FILE), log, onFatal, marker);
    try {
      const opened = failpoint('store-opened');
      if (opened !== undefined) await opened;
      await writeMarker(folder, store.identity, system.files);
      // The names of store, marker and spool must survive a power cut, too.
      await failpointAfter(syncFolder(folder, system.files), 'folder-synced');
      await recover(await names, { folder, store, spool, lostAndFound, log });
      return { store, spool };
    } catch (error) {
      await store.close();
      throw error;
    }
  } catch (error) {
    await spool.close();
    throw error;
  }
}

/** The marker goes last: a folder in which this was cut off is refused again. */
async function setEverythingAside(
  folder: string,
  lostAndFound: LostAndFound,
  refusal: StoreRefusal,
  log: Logger,
  system: System,
): Promise<void> {
  const spool = await Spool.open(spoolFolder(folder), log, system);
  try {
    const names = await spool.names();
    const store = ['', '-wal', '-shm'].map((suffix) => join(folder, STORE_FILE + suffix));
    const marker = join(folder, MARKER_FILE);
    const target = await lostAndFound.take([...store, ...names.map((name) => spool.path(name)), marker]);
    await spool.sync();
    await syncFolder(folder, system.files);
    log.warn({ found: refusal.found, files: names.length, folder: target }, 'every file was moved to lost+found');
  } finally {
    await spool.close();
  }
}

/** Removes the folders of backups and restores that were cut off. */
async function removeWork(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => /^(backup|restore)-[\w-]{21}$/.test(name));
  for (const name of names) await rm(join(folder, name), { recursive: true });
}

function spoolFolder(folder: string): string {
  return join(folder, 'spool');
}
