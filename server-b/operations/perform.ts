import type { PictureLimits } from '../../shared/config.ts';
import { DarkroomError, describeError, type ErrorDescription } from '../../shared/errors.ts';
import { checkOutputLimits } from '../../shared/limits.ts';
import {
  type CircleParameters,
  type ClassifyParameters,
  holdsAnimation,
  type Operation,
  type OperationName,
  type ResizeParameters,
} from '../../shared/operations.ts';
import type { Timings } from '../../shared/task.ts';
import type { Fault, PictureOutput, WorkerJob, WorkerReply } from '../job.ts';
import type { ModelFiles } from '../model.ts';
import { circle } from './circle.ts';
import { classify } from './classify.ts';
import { Deadline } from './deadline.ts';
import { isTimeout, Picture } from './decode.ts';
import { resize } from './resize.ts';
import { sharedSize } from './share.ts';

/** What performs each operation. Each throws a DarkroomError a client may read, or what sharp or the model throw. */
export interface Operations {
  resize(picture: Picture, parameters: ResizeParameters): Promise<PictureOutput>;
  circle(picture: Picture, parameters: CircleParameters): Promise<PictureOutput>;
  classify(picture: Picture, parameters: ClassifyParameters, model: ModelFiles | null): Promise<PictureOutput>;
}

/** The operations Darkroom has. */
export const OPERATIONS: Operations = { resize, circle, classify };

/**
 * Does one job. Never rejects: operations fail apart, each with its own output, and only a picture that cannot be
 * decoded (IMAGE_CORRUPT, IMAGE_TOO_LARGE) or a deadline that passed (TIMEOUT) fails the job.
 */
export async function performJob(job: WorkerJob, limits: PictureLimits, operations: Operations): Promise<WorkerReply> {
  const faults: Fault[] = [];
  const timings: Timings = {};
  const deadline = new Deadline(job.deadlineMs);
  try {
    const picture = await timed(timings, 'decode', () => openPicture(job, limits, deadline));
    const outputs: PictureOutput[] = [];
    for (const operation of job.operations) {
      deadline.check();
      const perform = () => performOne(picture, operation, job, limits, operations);
      const output = await timed(timings, operation.operation, perform).catch(async (thrown: unknown) => {
        const { cause, endsJob } = await findCause(picture, operation, thrown);
        if (endsJob) throw cause;
        noteFault(faults, operation.operation, cause);
        return failure(operation.operation, describeError(cause));
      });
      outputs.push(output);
    }
    return { outcome: { kind: 'done', outputs, timings }, faults };
  } catch (error) {
    const cause = isTimeout(error) ? deadline.error() : error;
    noteFault(faults, 'decode', cause);
    return { outcome: { kind: 'failed', error: describeError(cause) }, faults };
  }
}

async function openPicture(job: WorkerJob, limits: PictureLimits, deadline: Deadline): Promise<Picture> {
  const picture = await Picture.open(job.body, job.image, limits, deadline);
  const shared = sharedSize(picture, job.operations);
  if (shared === null) return picture;
  try {
    await picture.reduce(shared);
  } catch (error) {
    if (isTimeout(error)) throw deadline.error();
    throw (await picture.findCorruption('first')) ?? error;
  }
  return picture;
}

async function performOne(
  picture: Picture,
  operation: Operation,
  job: WorkerJob,
  limits: PictureLimits,
  operations: Operations,
): Promise<PictureOutput> {
  checkOutputLimits({ ...job.image, width: picture.width, height: picture.height }, [operation], limits);
  switch (operation.operation) {
    case 'resize':
      return operations.resize(picture, operation);
    case 'circle':
      return operations.circle(picture, operation);
    case 'classify':
      return operations.classify(picture, operation, job.model);
  }
}

/**
 * Why an operation failed, and whether that is the whole job's end. Pipelines decode as they go, so an error that is not
 * ours may come from the picture or from the operation: decoding once more, only then, tells which. An animation that
 * is broken further on may still have a whole first frame.
 */
async function findCause(
  picture: Picture,
  operation: Operation,
  thrown: unknown,
): Promise<{ cause: unknown; endsJob: boolean }> {
  if (isTimeout(thrown)) return { cause: picture.deadline.error(), endsJob: true };
  if (thrown instanceof DarkroomError) return { cause: thrown, endsJob: thrown.code === 'TIMEOUT' };
  const corruption = await picture.findCorruption('first');
  if (corruption !== null) return { cause: corruption, endsJob: true };
  const animates = operation.operation === 'resize' && holdsAnimation(operation.format ?? picture.format);
  const later = picture.frames > 1 && animates ? await picture.findCorruption('all') : null;
  return { cause: later ?? thrown, endsJob: false };
}

function failure(name: OperationName, error: ErrorDescription): PictureOutput {
  return { header: { kind: 'failure', name, operation: name, error }, picture: null };
}

/** Keeps the reason behind an error for the log: the whole stack where it is not one of ours. */
function noteFault(faults: Fault[], step: Fault['step'], error: unknown): void {
  const reason = error instanceof DarkroomError ? (error.cause ?? error.message) : error;
  const { code } = describeError(error);
  faults.push({ step, code, reason: reason instanceof Error ? (reason.stack ?? reason.message) : String(reason) });
}

async function timed<Result>(timings: Timings, step: Fault['step'], work: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    timings[`${step}_ms`] = Math.round((performance.now() - start) * 10) / 10;
  }
}
