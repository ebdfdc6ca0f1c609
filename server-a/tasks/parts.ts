import { join } from 'node:path';
import { syncFolder } from '../../shared/durable-folder.ts';
import { failpoint, failpointAfter } from '../../shared/failpoint.ts';
import { MEBIBYTE } from '../../shared/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { Task } from '../../shared/task.ts';
import { closePart } from '../closing.ts';
import type { ServerASettings } from '../config.ts';
import { Admission } from '../intake/admission.ts';
import { makeDataFolder } from '../spool/data-folder.ts';
import { DataLock } from '../spool/data-lock.ts';
import { Spool } from '../spool/spool.ts';
import { toTask } from '../store/row.ts';
import { Store } from '../store/store.ts';
import type { System } from '../system.ts';
import { Fetching, type FetchingOptions } from './fetching.ts';
import { Lifecycle } from './lifecycle.ts';
import { Outbox } from './outbox.ts';
import { recover } from './recovery.ts';
import { Retention } from './retention.ts';
import { Snippets } from './snippets.ts';
import { Watchers } from './watchers.ts';

const HOUR_MS = 60 * 60 * 1000;

/** Server A's settings that concern tasks. */
export interface TasksOptions
  extends Pick<
    ServerASettings,
    | 'dataDir'
    | 'keepHours'
    | 'keepImageHours'
    | 'maxQueued'
    | 'maxListed'
    | 'maxSpoolMb'
    | 'maxUploadMb'
    | 'maxPixels'
    | 'maxSide'
    | 'maxDecodedMb'
    | 'fetchAtOnce'
    | 'fetchSeconds'
    | 'maxFetchMb'
    | 'allowPrivateUrls'
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
  readonly outbox: Outbox;
  readonly lifecycle: Lifecycle;
  readonly fetching: Fetching;
  readonly snippets: Snippets;
}

/**
 * Takes the data folder, opens store and spool, puts tasks that were being processed back to pending, removes what has
 * expired and what no record owns. Throws BAD_REQUEST when another process has the folder or it cannot be made, and an
 * Error when the store is damaged or will not promise durability; nothing stays open then.
 */
export async function openParts(options: TasksOptions, log: Logger, system: System): Promise<Parts> {
  const folder = await makeDataFolder(options.dataDir, system.files);
  const lock = DataLock.take(folder, system.clock);
  let spool: Spool | null = null;
  try {
    const opened = await Spool.open(join(folder, 'spool'), log, system);
    spool = opened;
    const store = await Store.open(join(folder, 'store.db'), log, (error) => {
      // What was being written may be on disk or not, and with it the files that it names.
      opened.preserve();
      log.fatal({ err: error }, 'the store cannot be written any more');
      options.onFatal?.(error);
    });
    return { lock, spool, store, ...(await openOnStore({ store, spool, system, log }, folder, options)) };
  } catch (error) {
    await spool?.close();
    lock.release();
    throw error;
  }
}

/** Closes what {@link openParts} opened, in reverse, each part whatever became of the one before. Idempotent. */
export async function closeParts(parts: Parts, log: Logger): Promise<void> {
  const { watchers, outbox, fetching, retention, store, spool, lock } = parts;
  watchers.close();
  outbox.close();
  await closePart(log, 'fetching', () => fetching.close());
  await closePart(log, 'retention', () => retention.stop());
  await closePart(log, 'spool', () => spool.close());
  await closePart(log, 'store', () => store.close());
  await closePart(log, 'lock', () => lock.release());
}

/** What the other parts are built on. */
interface Foundation {
  readonly store: Store;
  readonly spool: Spool;
  readonly system: System;
  readonly log: Logger;
}

async function openOnStore(foundation: Foundation, folder: string, options: TasksOptions) {
  const { store, spool, system, log } = foundation;
  try {
    const opened = failpoint('store-opened');
    if (opened !== undefined) await opened;
    // The store and the spool are themselves names that a power cut must not take.
    await failpointAfter(syncFolder(folder, system.files), 'folder-synced');
    await recover(store, spool, log);
    const retention = new Retention(store, spool, log, system.clock);
    await retention.run(system.clock.now());
    retention.start();
    const parts = connect(foundation, options);
    for (const snippet of store.crowdedSnippets()) await parts.lifecycle.releaseOlder(snippet);
    return { retention, ...parts };
  } catch (error) {
    await store.close();
    throw error;
  }
}

function connect({ store, spool, system, log }: Foundation, options: TasksOptions) {
  const limits = {
    maxQueued: options.maxQueued,
    maxListed: options.maxListed,
    maxSpoolBytes: options.maxSpoolMb * MEBIBYTE,
    maxUploadBytes: options.maxUploadMb * MEBIBYTE,
  };
  const { pending, listed } = store.count();
  const admission = new Admission(limits, spool, { queued: pending - listed, listed });
  const watchers = new Watchers();
  const outbox = new Outbox(store, (id) => readTask(store, id));
  const keepMs = Math.round(options.keepHours * HOUR_MS);
  const lifecycle = new Lifecycle({ store, spool, admission, watchers, outbox, keepMs, system, log });
  const fetching = connectFetching({ store, spool, admission, lifecycle, clock: system.clock, log }, options);
  return { admission, watchers, outbox, lifecycle, fetching, snippets: new Snippets(store, admission, system.clock) };
}

function connectFetching(parts: Omit<FetchingOptions, 'atOnce' | 'url' | 'intake'>, options: TasksOptions): Fetching {
  const { fetchAtOnce: atOnce, fetchSeconds: seconds, allowPrivateUrls: allowPrivate } = options;
  const maxBytes = options.maxFetchMb * MEBIBYTE;
  const intake = { ...options, maxUploadBytes: maxBytes };
  return new Fetching({ ...parts, atOnce, url: { maxBytes, seconds, allowPrivate }, intake });
}

/** Null for a task that is not there any more, or whose row is damaged, which the store has logged. */
function readTask(store: Store, id: string): Task | null {
  try {
    const row = store.find(id);
    return row === undefined ? null : toTask(row);
  } catch {
    return null;
  }
}
