import { workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { z } from 'zod';
import { OPERATION_NAMES, operationNameSchema } from '../shared/operations/index.ts';
import { type WorkerJob, type WorkerReply, workerSettingsSchema } from './job.ts';
import { collectAfter } from './large-job.ts';
import { OPERATIONS, type Operation, type Operations } from './operations/index.ts';
import { setUpLibvips } from './operations/libvips.ts';
import { performJob } from './operations/perform.ts';

const settings = workerSettingsSchema.parse(workerData);
setUpLibvips(settings.setUp);
const operations = await loadOperations(settings.operationsModule);

/** Piscina's entry point: runs one job and returns how it ended. Encoded pictures are transferred, not copied. */
export default async function work(job: WorkerJob) {
  const reply = await performJob(job, settings.limits, operations);
  collectAfter(job);
  return transferred(reply);
}

/** Called once in a new pool, so that a thread that cannot start is noticed before the first job. */
export function ready(): true {
  return true;
}

function transferred(reply: WorkerReply) {
  const { outcome } = reply;
  const pictures = outcome.kind === 'done' ? outcome.outputs.flatMap(({ picture }) => picture ?? []) : [];
  return move({
    [transferableSymbol]: pictures.map((picture) => picture.buffer),
    [valueSymbol]: reply,
  });
}

async function loadOperations(module: string | undefined): Promise<Operations> {
  if (module === undefined) return OPERATIONS;
  const isOperation = (value: unknown) => value instanceof Object && 'perform' in value;
  const replacements = z.partialRecord(operationNameSchema, z.custom<Operation>(isOperation));
  const found = Object.entries({ ...(await import(module)) }).filter(([name]) =>
    OPERATION_NAMES.some((one) => one === name),
  );
  return { ...OPERATIONS, ...replacements.parse(Object.fromEntries(found)) };
}
