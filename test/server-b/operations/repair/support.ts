import { probe } from '../../../../server-a/probe/probe.ts';
import type { JobOutcome } from '../../../../server-b/job.ts';
import { OPERATIONS } from '../../../../server-b/operations/index.ts';
import { performJob } from '../../../../server-b/operations/perform.ts';
import type { Raster } from '../../../../server-b/operations/raster.ts';
import type { OutputSpec } from '../../../../shared/operations/index.ts';
import { Memory } from '../../../server-a/probe/agreement.ts';
import { decode, LIMITS, own } from '../../../support/pictures.ts';

const SAME_SIZE: OutputSpec = { name: 'same', operation: 'resize', format: 'png' };

/** Runs a job for a picture whose header Server A has read. */
export async function performUploaded(
  body: Uint8Array,
  outputs: readonly OutputSpec[] = [SAME_SIZE],
): Promise<JobOutcome> {
  const image = await probe(new Memory(body));
  const job = { outputs, image, body: own(body), deadlineMs: 30_000, model: null };
  return (await performJob(job, LIMITS, OPERATIONS)).outcome;
}

/** The error codes of a job: its own, or those of its outputs that failed. */
export function codesOf(outcome: JobOutcome): string[] {
  if (outcome.kind === 'failed') return [outcome.error.code];
  return outcome.outputs.flatMap(({ header }) => (header.kind === 'failure' ? [header.error.code] : []));
}

/** The pixels of a job's first picture. Throws when it was not made. */
export async function pictureOf(outcome: JobOutcome): Promise<Raster> {
  if (outcome.kind === 'failed') throw new Error(`Expected a picture, received ${outcome.error.message}`);
  return decode(outcome.outputs[0]?.picture ?? null);
}

/** The pixels of the picture at its own size, and the warnings. Throws when the picture was not made. */
export async function repaired(body: Uint8Array): Promise<{ raster: Raster; warnings: readonly string[] }> {
  const outcome = await performUploaded(body);
  return { raster: await pictureOf(outcome), warnings: outcome.kind === 'done' ? outcome.warnings : [] };
}
