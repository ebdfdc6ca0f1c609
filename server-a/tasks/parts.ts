import { MEBIBYTE } from '../../shared/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { Task } from '../../shared/task.ts';
import { closePart } from '../closing.ts';
import type { ServerASettings } from '../config.ts';
import type { Dispatch, TaskRecords } from '../dispatch/contract.ts';
import { Admission, type AdmissionLimits } from '../intake/admission.ts';
import { Pictures } from '../pictures/pictures.ts';
import { toTask } from '../store/row.ts';
import type { Store } from '../store/store.ts';
import type { System } from '../system.ts';
import { Attempts } from './attempts.ts';
import { type Data, openData } from './data.ts';
import { Fetching, type FetchLimits } from './fetching.ts';
import { Lifecycle } from './lifecycle.ts';
import { Outbox } from './outbox.ts';
import { Quarantine } from './quarantine.ts';
import { RecordGate } from './record-gate.ts';
import { Retention } from './retention.ts';
import { Snippets } from './snippets.ts';
import { Watchers } from './watchers.ts';

const HOUR_MS = 60 * 60 * 1000;

/** Server A's settings for tasks. */
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
    | 'memoryMb'
    | 'maxPixels'
    | 'maxSide'
    | 'maxDecodedMb'
    | 'maxFrames'
    | 'maxAnimationSeconds'
    | 'heic'
    | 'fetchAtOnce'
    | 'fetchSeconds'
    | 'maxFetchMb'
    | 'allowPrivateUrls'
    | 'quarantineHours'
  > {
  /**
   * Called once when the store cannot be written any more, so that the process can end. The error is logged in any
   * case.
   */
  readonly onFatal?: (error: Error) => void;
  /** Move every file of a folder that would be refused to lost+found, and start with an empty store. */
  readonly newStore?: boolean | undefined;
}

/** The parts that are open while a data folder is in use. */
export interface Parts<Dispatcher extends Dispatch = Dispatch> extends Data {
  readonly pictures: Pictures;
  readonly admission: Admission;
  readonly recordGate: RecordGate;
  readonly watchers: Watchers;
  readonly retention: Retention;
  readonly outbox: Outbox;
  readonly lifecycle: Lifecycle;
  readonly records: TaskRecords;
  readonly dispatcher: Dispatcher;
  readonly fetching: Fetching;
  readonly snippets: Snippets;
  readonly quarantine: Quarantine;
}

/** Makes the dispatcher, which runs the tasks of the records. */
export type MakeDispatcher<Dispatcher extends Dispatch> = (records: TaskRecords) => Dispatcher;

/**
 * Opens the data folder, begins to remove expired files, then makes the dispatcher and starts to fetch listed URLs. Throws like
 * {@link openData}; closes everything then.
 */
export async function openParts<Dispatcher extends Dispatch>(
  options: TasksOptions,
  log: Logger,
  makeDispatcher: MakeDispatcher<Dispatcher>,
  system: System,
): Promise<Parts<Dispatcher>> {
  const data = await openData(options, log, system);
  try {
    const quarantine = new Quarantine(data.store, system.clock, Math.round(options.quarantineHours * HOUR_MS));
    const pictures = new Pictures(data.store, data.spool);
    const retention = new Retention({ ...data, pictures, quarantine }, log, system.clock);
    // The start waits for a few removals only, however many outputs have expired meanwhile.
    const isMore = await retention.runSome(system.clock.now());
    const parts = await connect({ ...data, pictures, system, log }, quarantine, options, makeDispatcher);
    retention.start(isMore);
    return { ...data, pictures, retention, quarantine, ...parts };
  } catch (error) {
    await data.store.close();
    await data.spool.close();
    data.lock.release();
    throw error;
  }
}

/** Closes the parts in reverse order, except the dispatcher. A part that fails does not stop the next. Idempotent. */
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

/** The parts that all others use. */
interface Foundation {
  readonly store: Store;
  readonly pictures: Pictures;
  readonly system: System;
  readonly log: Logger;
}

/** Nothing may fail after the dispatcher is made, because it would stay open. */
async function connect<Dispatcher extends Dispatch>(
  { store, pictures, system, log }: Foundation,
  quarantine: Quarantine,
  options: TasksOptions,
  makeDispatcher: MakeDispatcher<Dispatcher>,
) {
  const { clock } = system;
  const { pending, listed } = store.count();
  const counts = { queued: pending - listed, listed };
  const admission = new Admission(admissionLimits(options), pictures, counts, () => fetching.wake());
  const watchers = new Watchers();
  const outbox = new Outbox(store, (id) => readTask(store, id));
  const keepMs = Math.round(options.keepHours * HOUR_MS);
  const lifecycle = new Lifecycle({ store, pictures, admission, watchers, outbox, keepMs, system, log });
  for (const snippet of store.crowdedSnippets()) await lifecycle.releaseOlder(snippet);
  const recordGate = new RecordGate();
  const snippets = new Snippets(store, admission, clock);
  const records = new Attempts({ store, pictures, keepMs, system, log }, lifecycle, quarantine);
  const dispatcher = makeDispatcher(records);
  const fetching = new Fetching({
    store,
    pictures,
    admission,
    lifecycle,
    quarantine,
    dispatcher,
    clock,
    log,
    ...fetchLimits(options),
  });
  fetching.wake();
  return { admission, recordGate, watchers, outbox, lifecycle, records, dispatcher, fetching, snippets };
}

function admissionLimits(options: TasksOptions): AdmissionLimits {
  return {
    maxQueued: options.maxQueued,
    maxListed: options.maxListed,
    maxSpoolBytes: options.maxSpoolMb * MEBIBYTE,
    maxUploadBytes: options.maxUploadMb * MEBIBYTE,
  };
}

function fetchLimits(options: TasksOptions): FetchLimits {
  const { fetchAtOnce, fetchSeconds: seconds, allowPrivateUrls: allowPrivate } = options;
  const maxBytes = options.maxFetchMb * MEBIBYTE;
  return { fetchAtOnce, url: { maxBytes, seconds, allowPrivate }, upload: { ...options, maxUploadBytes: maxBytes } };
}

/** The task's record; null when it does not exist or when its row is damaged, which the store logs. */
function readTask(store: Store, id: string): Task | null {
  try {
    const row = store.find(id);
    return row === undefined ? null : toTask(row);
  } catch {
    return null;
  }
}
