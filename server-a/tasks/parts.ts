import { join } from 'node:path';
import type { Logger } from '../../shared/log.ts';
import type { ServerASettings } from '../config.ts';
import { Admission } from './admission.ts';
import { makeDataFolder } from './data-folder.ts';
import { DataLock } from './data-lock.ts';
import { FolderSync } from './folder-sync.ts';
import { TaskLedger } from './ledger.ts';
import { recover } from './recovery.ts';
import { Retention } from './retention.ts';
import { Spool } from './spool.ts';
import { Store } from './store.ts';
import { Watchers } from './watchers.ts';

const MEBIBYTE = 1024 * 1024;
const HOUR_MILLISECONDS = 60 * 60 * 1000;

/** Server A's settings that concern tasks. */
export interface TasksOptions
  extends Pick<
    ServerASettings,
    'dataDir' | 'keepHours' | 'maxQueued' | 'maxSpoolMb' | 'maxUploadMb' | 'maxPixels' | 'maxSide' | 'maxDecodedMb'
  > {
  /** Called once if nothing can be written any more: the process should end. Without it this is only logged. */
  readonly onFatal?: (error: Error) => void;
}

/** What is open while a data folder is in use. */
export interface Parts {
  readonly lock: DataLock;
  readonly store: Store;
  readonly spool: Spool;
  readonly admission: Admission;
  readonly watchers: Watchers;
  readonly retention: Retention;
  readonly ledger: TaskLedger;
}

/**
 * Takes the data folder, opens store and spool, puts tasks that were being processed back to pending, removes what has
 * expired and what no record owns. Throws BAD_REQUEST when another process has the folder or it cannot be made, and an
 * Error when the store is damaged or will not promise durability; nothing stays open then.
 */
export async function openParts(options: TasksOptions, log: Logger): Promise<Parts> {
  const folder = await makeDataFolder(options.dataDir);
  const lock = DataLock.take(folder);
  try {
    const store = await Store.open(join(folder, 'store.db'), log, (error) => {
      log.fatal({ err: error }, 'the store cannot be written any more');
      options.onFatal?.(error);
    });
    return { lock, store, ...(await openOnStore(store, folder, options, log)) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Closes what {@link openParts} opened, in reverse. Idempotent. */
export async function closeParts({ watchers, retention, store, spool, lock }: Parts): Promise<void> {
  watchers.close();
  await retention.stop();
  await spool.close();
  await store.close();
  lock.release();
}

async function openOnStore(store: Store, folder: string, options: TasksOptions, log: Logger) {
  let spool: Spool | null = null;
  try {
    spool = await Spool.open(join(folder, 'spool'));
    // The store and the spool are themselves names that a power cut must not take.
    await FolderSync.syncOnce(folder);
    await recover(store, spool, log);
    const retention = new Retention(store, spool, log);
    await retention.run(Date.now());
    retention.start();
    return { spool, retention, ...connect(store, spool, options, log) };
  } catch (error) {
    await spool?.close();
    await store.close();
    throw error;
  }
}

function connect(store: Store, spool: Spool, options: TasksOptions, log: Logger) {
  const limits = {
    maxQueued: options.maxQueued,
    maxSpoolBytes: options.maxSpoolMb * MEBIBYTE,
    maxUploadBytes: options.maxUploadMb * MEBIBYTE,
  };
  const admission = new Admission(limits, spool, store.count().pending);
  const watchers = new Watchers();
  const keepMilliseconds = Math.round(options.keepHours * HOUR_MILLISECONDS);
  const ledger = new TaskLedger({ store, spool, admission, watchers, keepMilliseconds, log });
  return { admission, watchers, ledger };
}
