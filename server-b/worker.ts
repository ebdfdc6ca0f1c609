import { workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { z } from 'zod';
import { type WorkerJob, type WorkerReply, workerSettingsSchema } from './job.ts';
import { setUpLibvips } from './operations/libvips.ts';
import { OPERATIONS, type Operations, performJob } from './operations/perform.ts';

const settings = workerSettingsSchema.parse(workerData);
setUpLibvips(settings.setUp);
const operations = await loadOperations(settings.operationsModule);

/** Piscina's entry: one job in, its end out as data. The encoded pictures move; they are not copied. */
export default async function work(job: WorkerJob) {
  const reply = await performJob(job, settings.limits, operations);
  return moved(reply);
}

/** Asked of a new pool, so that a thread that cannot start is known before the first job. */
export function ready(): true {
  return true;
}

function moved(reply: WorkerReply) {
  const { outcome } = reply;
  const pictures = outcome.kind === 'done' ? outcome.outputs.flatMap(({ picture }) => picture ?? []) : [];
  return move({
    [transferableSymbol]: pictures.map((picture) => picture.buffer),
    [valueSymbol]: reply,
  });
}

async function loadOperations(module: string | undefined): Promise<Operations> {
  if (module === undefined) return OPERATIONS;
  const isFunction = (value: unknown) => typeof value === 'function';
  const replacements = z
    .object({
      resize: z.custom<Operations['resize']>(isFunction),
      circle: z.custom<Operations['circle']>(isFunction),
      classify: z.custom<Operations['classify']>(isFunction),
    })
    .partial();
  const found = replacements.parse({ ...(await import(module)) });
  return {
    resize: found.resize ?? OPERATIONS.resize,
    circle: found.circle ?? OPERATIONS.circle,
    classify: found.classify ?? OPERATIONS.classify,
  };
}
