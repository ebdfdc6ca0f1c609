import type { PictureLimits } from '../../shared/config.ts';
import { planDecode } from '../../shared/decode-plan.ts';
import { DarkroomError, describeError, type ErrorDescription } from '../../shared/errors.ts';
import { checkOutputLimits } from '../../shared/limits.ts';
import { type OutputSpec, planOf } from '../../shared/operations/index.ts';
import type { Timings } from '../../shared/task.ts';
import type { Fault, JobOutcome, JobOutput, WorkerJob, WorkerReply } from '../job.ts';
import { Deadline } from './deadline.ts';
import { openHeic } from './heic/decode-heic.ts';
import type { Operations } from './index.ts';
import { countWarnings } from './libvips.ts';
import { isTimeout, Picture } from './picture.ts';
import { repair } from './repair/repair.ts';

/** The step before the outputs. */
const DECODE = 'decode';

/**
 * Runs one job. Never rejects. Outputs fail independently; the whole job fails only when the picture cannot be decoded
 * (IMAGE_CORRUPT, IMAGE_TOO_LARGE) or the deadline has passed (TIMEOUT).
 *
 * The decoder is strict. Only a picture that it refuses is examined, and repaired if all its pixels are there; all
 * outputs are then made from the repaired picture, and the outcome has warnings that say what was repaired.
 */
export async function performJob(job: WorkerJob, limits: PictureLimits, operations: Operations): Promise<WorkerReply> {
  const deadline = new Deadline(job.deadlineMs);
  const reply = await makeOutputs(job, limits, operations, deadline);
  const repaired = isCorrupt(reply.outcome) ? await repair(job.image.format, job.body) : null;
  if (repaired === null) return reply;
  const { outcome, faults } = await makeOutputs({ ...job, body: repaired.body }, limits, operations, deadline);
  return { outcome: outcome.kind === 'done' ? { ...outcome, warnings: repaired.warnings } : outcome, faults };
}

/** True when the job or one of its outputs failed because of the picture. */
function isCorrupt(outcome: JobOutcome): boolean {
  if (outcome.kind === 'failed') return outcome.error.code === 'IMAGE_CORRUPT';
  return outcome.outputs.some(({ header }) => header.kind === 'failure' && header.error.code === 'IMAGE_CORRUPT');
}

async function makeOutputs(
  job: WorkerJob,
  limits: PictureLimits,
  operations: Operations,
  deadline: Deadline,
): Promise<WorkerReply> {
  const faults: Fault[] = [];
  const timings: Timings = { [`${DECODE}_ms`]: 0 };
  const warningsBefore = countWarnings();
  try {
    const started = performance.now();
    const pictures = await openPictures(job, limits, deadline);
    const decodeMs = since(started);
    const outputs: JobOutput[] = [];
    for (const [index, spec] of job.outputs.entries()) {
      deadline.check();
      const picture = pictures[index];
      if (picture === undefined) throw new Error(`Expected a picture for the output ${spec.name}, received none`);
      const begun = performance.now();
      const perform = performOne(picture, spec, job, limits, operations).catch(async (thrown: unknown) => {
        const { cause, endsJob } = await findCause(picture, spec, thrown);
        if (endsJob) throw cause;
        noteFault(faults, spec.name, cause);
        return failure(spec, describeError(cause));
      });
      outputs.push(await perform);
      timings[`${spec.name}_ms`] = since(begun);
    }
    if (countWarnings() !== warningsBefore) await checkLastRows(pictures);
    // An output may be named `decode`, too. The time of the decode step replaces that output's time.
    Object.assign(timings, { [`${DECODE}_ms`]: decodeMs });
    return { outcome: { kind: 'done', outputs, timings, warnings: [] }, faults };
  } catch (error) {
    const cause = isTimeout(error, deadline) ? deadline.error() : error;
    noteFault(faults, DECODE, cause);
    return { outcome: { kind: 'failed', error: describeError(cause) }, faults };
  }
}

/** Throws IMAGE_CORRUPT for a JPEG with damage in its last rows. Called when libvips has read such a picture lately. */
async function checkLastRows([picture]: readonly Picture[]): Promise<void> {
  if (picture?.format !== 'jpeg') return;
  const corruption = await picture.findCorruption('first');
  if (corruption !== null) throw corruption;
}

/** The picture for each output: already decoded for the outputs that share a decode, not yet for the others. */
async function openPictures(job: WorkerJob, limits: PictureLimits, deadline: Deadline): Promise<Picture[]> {
  const open = job.image.format === 'heic' ? openHeic : Picture.open;
  const picture = await open(job.body, job.image, limits, deadline);
  const plans = job.outputs.map((spec) => planOf(picture.header, spec));
  const shared = planDecode(picture.header, plans);
  if (shared === null) return plans.map(() => picture);
  try {
    const sharing = picture.sharing(await picture.decodeOnce(shared.size));
    return plans.map((_, index) => (shared.users.has(index) ? sharing : picture));
  } catch (error) {
    if (isTimeout(error, deadline)) throw deadline.error();
    throw (await picture.findCorruption('first')) ?? error;
  }
}

async function performOne(
  picture: Picture,
  spec: OutputSpec,
  job: WorkerJob,
  limits: PictureLimits,
  operations: Operations,
): Promise<JobOutput> {
  checkOutputLimits(picture.header, [spec], limits);
  const product = await operations[spec.operation].perform(picture, spec, job.model);
  const { name, operation } = spec;
  if (product.kind === 'data') return { header: { kind: 'data', name, operation, data: product.data }, picture: null };
  const { picture: encoded, ...facts } = product;
  return { header: { ...facts, name, operation, bytes: encoded.byteLength }, picture: encoded };
}

/**
 * Why an output failed, and whether that ends the whole job. Pipelines decode while they work, so an error of sharp may
 * come from the picture or from the operation; another decode, only then, shows which. An animation that is corrupt in a
 * later frame may still have an intact first frame.
 */
async function findCause(
  picture: Picture,
  spec: OutputSpec,
  thrown: unknown,
): Promise<{ cause: unknown; endsJob: boolean }> {
  if (isTimeout(thrown, picture.deadline)) return { cause: picture.deadline.error(), endsJob: true };
  if (thrown instanceof DarkroomError) return { cause: thrown, endsJob: thrown.code === 'TIMEOUT' };
  const corruption = await picture.findCorruption('first');
  if (corruption !== null) return { cause: corruption, endsJob: true };
  const later = planOf(picture.header, spec).animated ? await picture.findCorruption('all') : null;
  return { cause: later ?? thrown, endsJob: false };
}

function failure({ name, operation }: OutputSpec, error: ErrorDescription): JobOutput {
  return { header: { kind: 'failure', name, operation, error }, picture: null };
}

/** Adds the reason of an error to the faults for the log; with the stack when it is not a DarkroomError. */
function noteFault(faults: Fault[], step: string, error: unknown): void {
  const reason = error instanceof DarkroomError ? (error.cause ?? error.message) : error;
  const { code } = describeError(error);
  faults.push({ step, code, reason: reason instanceof Error ? (reason.stack ?? reason.message) : String(reason) });
}

/** Milliseconds, to a tenth. */
function since(start: number): number {
  return Math.round((performance.now() - start) * 10) / 10;
}
