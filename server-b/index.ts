import { setTimeout as sleep } from 'node:timers/promises';
import { MEBIBYTE } from '../shared/limits.ts';
import type { Logger } from '../shared/log.ts';
import { FORMATS, INPUT_FORMATS } from '../shared/operations/format.ts';
import { OPERATION_NAMES } from '../shared/operations/index.ts';
import { PROTOCOL_VERSION } from '../shared/wire/frame.ts';
import { Budget } from './budget.ts';
import { DRAIN_MS, type Identity } from './child-messages.ts';
import type { ServerBSettings } from './config.ts';
import { type ListenAddress, Listener } from './listener.ts';
import type { ModelFiles } from './model/find.ts';
import { watchModel } from './model/watch.ts';
import { Pool } from './pool.ts';

/** How often a drain checks whether the last job has ended, in milliseconds. */
const DRAIN_POLL_MS = 20;

export interface ServerBOptions {
  readonly identity: Identity;
  /** A worker is still busy after its deadline: the process must end, because a busy thread cannot be ended alone. */
  readonly stuck: () => void;
  readonly log: Logger;
}

/** A running Server B. */
export interface ServerB {
  readonly address: ListenAddress;
  /** Lets running jobs finish, for at most 20 s, and closes everything. */
  drain(): Promise<void>;
}

/** Opens pool, classifier and listener, in that order. Throws the system's error when the address is not available. */
export async function startServerB(settings: ServerBSettings, options: ServerBOptions): Promise<ServerB> {
  const { threads, jobsPerThread, operationsModule, model, dataDir } = settings;
  const { log } = options;
  const pool = await Pool.open({ threads, jobsPerThread, limits: settings, operationsModule, log });
  const watching = new AbortController();
  const models = watchModel({ model, dataDir, signal: watching.signal, log });
  try {
    const first = await models.next();
    pool.useModel(first.value ?? null);
    const listener = await openListener(settings, pool, options);
    const watched = useModels(models, pool, listener);
    return {
      address: listener.address,
      drain: async () => {
        listener.drain();
        const end = Date.now() + DRAIN_MS;
        while (listener.busyLanes > 0 && Date.now() < end) await sleep(DRAIN_POLL_MS);
        listener.close();
        watching.abort();
        await watched;
        await pool.close();
      },
    };
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** Passes each new classifier to the pool and announces it on all lanes. Resolves when `models` has ended. */
async function useModels(models: AsyncIterable<ModelFiles | null>, pool: Pool, listener: Listener): Promise<void> {
  for await (const model of models) {
    pool.useModel(model);
    listener.announce();
  }
}

function openListener(settings: ServerBSettings, pool: Pool, options: ServerBOptions): Promise<Listener> {
  const slots = settings.threads * settings.jobsPerThread;
  const { identity, stuck, log } = options;
  const memoryBytes = settings.memoryMb * MEBIBYTE;
  return Listener.open({ host: settings.ip, port: settings.port }, slots, {
    pool,
    budget: new Budget({ slots, bytes: memoryBytes, threads: settings.threads }),
    limits: settings,
    token: settings.token,
    log,
    welcome: () => ({
      protocol: PROTOCOL_VERSION,
      instance: identity.instance,
      slots,
      operations: [...OPERATION_NAMES],
      formats: settings.heic ? [...INPUT_FORMATS] : [...FORMATS],
      model: pool.model?.name ?? null,
      ended: identity.ended,
      memory_bytes: memoryBytes,
    }),
    stuck: (jobId) => {
      log.fatal({ task_id: jobId }, 'a worker is still busy after its deadline');
      stuck();
    },
  });
}
