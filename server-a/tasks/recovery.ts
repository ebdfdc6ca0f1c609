import type { Logger } from '../../shared/log.ts';
import type { Spool, SpoolName } from '../spool/spool.ts';
import type { Store } from '../store/store.ts';

/** Makes interrupted tasks pending again, without a strike, and removes files that no record owns. */
export async function recover(store: Store, spool: Spool, log: Logger): Promise<void> {
  const requeued = await store.write({ statement: 'recover', parameters: {} });
  for (const { id } of requeued) log.info({ task_id: id }, 'an interrupted task is pending again');
  const swept = await spool.sweep((name) => isOwned(store, name));
  if (swept.length > 0) log.info({ files: swept.length }, 'spool files without an owner were removed');
}

function isOwned(store: Store, name: SpoolName): boolean {
  if (name.kind === 'other') return false;
  try {
    const state = store.stateOf(name.id);
    if (state === undefined) return false;
    if (name.kind === 'input') return state.original_kept || (state.status === 'pending' && state.stage === 'ready');
    if (!state.outputs_kept || state.attempt !== name.attempt) return false;
    const outputs = store.find(name.id)?.outputs ?? [];
    return outputs.some(({ header }) => header.kind === 'picture' && header.name === name.output);
  } catch {
    // The store has logged that the row is damaged. Its files are kept until they expire, so that it can be repaired.
    return true;
  }
}
