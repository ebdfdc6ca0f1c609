import { setTimeout as sleep } from 'node:timers/promises';
import { nanoid } from 'nanoid';
import { MEBIBYTE } from '../shared/limits.ts';
import type { Logger } from '../shared/log.ts';
import { FORMATS } from '../shared/operations/format.ts';
import { OPERATION_NAMES } from '../shared/operations/index.ts';
import { PROTOCOL_VERSION } from '../shared/wire/frame.ts';
import { Budget } from './budget.ts';
import { DRAIN_MS } from './child-messages.ts';
import type { ServerBSettings } from './config.ts';
import { type ListenAddress, Listener } from './listener.ts';
import { watchModel } from './model/watch.ts';
import { Pool } from './pool.ts';

/** How often a drain looks whether the last job is done, in milliseconds. */
const DRAIN_POLL_MS = 20;

export interface ServerBOptions {
  /** A worker did not come back from its deadline: the process must end, for a busy thread cannot be ended alone. */
  readonly stuck: () => void;
  readonly log: Logger;
}

/** One life of Server B, from listening to closed. */
export interface ServerB {
  readonly address: ListenAddress;
  /** Finishes what is under way, at most 20 s, and closes everything. */
  drain(): Promise<void>;
}

/** Opens pool, classifier and listener, in that order. Throws the system's error for an address that cannot be had. */
export async function startServerB(settings: ServerBSettings, options: ServerBOptions): Promise<ServerB> {
  const { threads, jobsPerThread, operationsModule } = settings;
  const pool = await Pool.open({ threads, jobsPerThread, limits: settings, operationsModule, log: options.log });
  const watching = new AbortController();
  const model = await keepModel(settings, pool, watching.signal, options.log);
  try {
    const listener = await openListener(settings, pool, options);
    model.onChange(() => listener.announce());
    return {
      address: listener.address,
      drain: async () => {
        listener.drain();
        const end = Date.now() + DRAIN_MS;
        while (listener.busyLanes > 0 && Date.now() < end) await sleep(DRAIN_POLL_MS);
        listener.close();
        watching.abort();
        await model.watched;
        await pool.close();
      },
    };
  } catch (error) {
    watching.abort();
    await model.watched;
    await pool.close();
    throw error;
  }
}

function openListener(settings: ServerBSettings, pool: Pool, { stuck, log }: ServerBOptions): Promise<Listener> {
  const slots = settings.threads * settings.jobsPerThread;
  const instance = nanoid();
  return Listener.open({ host: settings.ip, port: settings.port }, slots, {
    pool,
    budget: new Budget({ slots, bytes: settings.memoryMb * MEBIBYTE }),
    limits: settings,
    token: settings.token,
    log,
    welcome: () => ({
      protocol: PROTOCOL_VERSION,
      instance,
      slots,
      operations: [...OPERATION_NAMES],
      formats: [...FORMATS],
      model: pool.model?.name ?? null,
    }),
    stuck: (jobId) => {
      log.fatal({ task_id: jobId }, 'a worker did not come back from its deadline');
      stuck();
    },
  });
}

/** Gives the pool the classifier that is there now, and every other one that comes later; resolves after the first look. */
async function keepModel(settings: ServerBSettings, pool: Pool, signal: AbortSignal, log: Logger) {
  let changed = () => {};
  let watched: Promise<void> = Promise.resolve();
  await new Promise<void>((firstLook) => {
    watched = watchModel({
      model: settings.model,
      dataDir: settings.dataDir,
      signal,
      log,
      onChange: (model) => {
        pool.useModel(model);
        changed();
        firstLook();
      },
    });
  });
  return {
    watched,
    onChange: (listener: () => void) => {
      changed = listener;
    },
  };
}
