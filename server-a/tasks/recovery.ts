import type { Logger } from '../../shared/log.ts';
import type { LostAndFound } from '../spool/lost-and-found.ts';
import { parseSpoolName, type Spool, type SpoolName } from '../spool/spool.ts';
import { StoreRefusal } from '../store/refusal.ts';
import type { Store } from '../store/store.ts';
import { MOST_WITHOUT_RECORD } from './record-gate.ts';

/**
 * The most inputs without a record that a Darkroom without {@link RecordGate} can have left: one for each HTTP
 * connection, of which there were 1000 by default.
 */
const MOST_WITHOUT_GATE = 1000;

/** What recovery works on. */
export interface RecoveryParts {
  /** The data folder. */
  readonly folder: string;
  readonly store: Store;
  readonly spool: Spool;
  readonly lostAndFound: LostAndFound;
  readonly log: Logger;
}

/**
 * What becomes of a file in the spool. `kept`: a record needs it. `unfinished`: it is an upload or an output that was
 * never complete. `orphan`: an input without a record. `left`: any other file that no record needs.
 */
type Fate = 'kept' | 'unfinished' | 'orphan' | 'left';

/**
 * Makes interrupted tasks pending again, without a strike. Moves files that no record needs to lost+found, and removes
 * files that were never complete; `names` are all files of the spool. Throws {@link StoreRefusal}, and changes nothing,
 * when more inputs are without a record than can have been under way: records are lost then.
 */
export async function recover(
  names: readonly string[],
  { folder, store, spool, lostAndFound, log }: RecoveryParts,
): Promise<void> {
  const fates = sortFiles(store, new Set(names));
  // The store was opened for the first time by a Darkroom that counts, so an older one may have left the files.
  const most = store.identity.opened <= 1 ? MOST_WITHOUT_GATE : MOST_WITHOUT_RECORD;
  const orphans = fates.orphan.length;
  if (orphans > most) {
    const found = `${orphans} pictures in the spool have no record, and at most ${most} can have been under way`;
    throw new StoreRefusal(folder, found);
  }
  const requeued = await store.write({ statement: 'recover', parameters: {} });
  for (const { id } of requeued) log.info({ task_id: id }, 'an interrupted task is pending again');
  spool.count(fates.bytes);
  for (const name of fates.kept) await spool.adopt(name);
  for (const name of fates.unfinished) await spool.unlink(spool.path(name));
  await setAside([...fates.orphan, ...fates.left], spool, lostAndFound, log);
}

/** The files that need a look of their own, and the bytes of all others, which the records need. */
interface SortedFiles extends Readonly<Record<Fate, string[]>> {
  readonly bytes: number;
}

/** Nearly every file is of a record that names it and its size, so a look at each file is only for the rest. */
function sortFiles(store: Store, names: Set<string>): SortedFiles {
  const bytes = takeOwned(names, store);
  const fates: Record<Fate, string[]> = { kept: [], unfinished: [], orphan: [], left: [] };
  for (const name of names) fates[fateOf(store, parseSpoolName(name))].push(name);
  return { ...fates, bytes };
}

/** Removes the names of all files that sound records need. Gives the bytes of these files, by their records. */
function takeOwned(names: Set<string>, store: Store): number {
  let bytes = 0;
  for (const file of store.ownedFiles()) if (names.delete(file.name)) bytes += file.bytes;
  return bytes;
}

/** Does not throw: files that cannot be moved stay where they are, and are counted. */
async function setAside(names: readonly string[], spool: Spool, lostAndFound: LostAndFound, log: Logger) {
  if (names.length === 0) return;
  try {
    const folder = await lostAndFound.take(names.map((name) => spool.path(name)));
    log.warn({ files: names.length, folder }, 'spool files without an owner were moved to lost+found');
  } catch (error) {
    for (const name of names) await spool.adopt(name);
    log.error({ err: error, files: names.length }, 'spool files without an owner could not be moved to lost+found');
  }
}

function fateOf(store: Store, name: SpoolName): Fate {
  if (name.kind === 'temporary') return 'unfinished';
  if (name.kind === 'other') return 'left';
  try {
    const state = store.stateOf(name.id);
    if (state === undefined) return name.kind === 'input' ? 'orphan' : 'left';
    if (name.kind === 'input') {
      const isNeeded = state.original_kept || (state.status === 'pending' && state.stage === 'ready');
      return isNeeded || state.status === 'processing' ? 'kept' : 'left';
    }
    if (!state.outputs_kept || state.attempt !== name.attempt) return 'left';
    const outputs = store.find(name.id)?.outputs ?? [];
    const isNamed = outputs.some(({ header }) => header.kind === 'picture' && header.name === name.output);
    return isNamed ? 'kept' : 'left';
  } catch {
    // The store has logged that the row is damaged. Its files are kept until they expire, so that it can be repaired.
    return 'kept';
  }
}
