import { describeError, ERRORS, type ErrorDescription } from '../../shared/errors.ts';
import type { EndedInstance } from '../../shared/wire/messages.ts';
import type { JobOutcome } from './lane-client.ts';

/** The instance of Server B that answered last, and what it says of the instances before it. */
export interface Answer {
  readonly instance: string;
  /** Undefined when Server B does not say it. */
  readonly ended?: readonly EndedInstance[] | undefined;
}

/** The consequence of an attempt's outcome for its task. */
export type Verdict =
  /** The outputs are received: make them durable and complete the task. */
  | { readonly kind: 'complete'; readonly received: Extract<JobOutcome, { kind: 'done' }> }
  | { readonly kind: 'fail'; readonly error: ErrorDescription }
  /** The picture cannot be decoded: check whether Server A's disk has damaged the input, then fail the task. */
  | { readonly kind: 'check-input'; readonly error: ErrorDescription }
  /** The task runs again without a strike; with a reason to pause, dispatch pauses first. */
  | { readonly kind: 'again'; readonly pause: string | null }
  /** Server A itself failed, for example on a full disk: pause, then run the task again without a strike. */
  | { readonly kind: 'stopped'; readonly error: unknown }
  /**
   * A thread or an instance died while it ran the job, perhaps because of another job. `isByJob` is false when no job
   * can have caused it.
   */
  | { readonly kind: 'crashed'; readonly isByJob: boolean }
  /** Unknown until an instance answers: `instance` may have died or may still run the job. */
  | { readonly kind: 'doubt'; readonly instance: string };

/** Decides what an outcome means. `answer` is the last WELCOME; null before the first one. */
export function judge(outcome: JobOutcome, answer: Answer | null): Verdict {
  switch (outcome.kind) {
    case 'done':
      return { kind: 'complete', received: outcome };
    case 'refused':
      return judgeRefusal(outcome.error);
    case 'failed':
      return judgeFailure(outcome.error);
    case 'lost':
      return outcome.isPastGo ? judgeLoss(outcome.instance, answer) : { kind: 'again', pause: null };
    case 'stopped':
      return judgeStop(outcome.error);
    case 'canceled':
      // The task has ended already, but the records must know that this attempt is over.
      return { kind: 'again', pause: null };
  }
}

/** For a job past GO that lost its lane: a crash if another instance has answered since, else in doubt. */
function judgeLoss(lost: string, answer: Answer | null): Verdict {
  if (answer === null || answer.instance === lost) return { kind: 'doubt', instance: lost };
  return { kind: 'crashed', isByJob: isEndedByJob(lost, answer) };
}

/**
 * True when a job can have ended the instance `lost`. An instance that is not on the list ended together with its
 * supervisor, which no job can do. Without a list nothing is known, so a job may have done it.
 */
export function isEndedByJob(lost: string, { ended }: Answer): boolean {
  return ended === undefined || ended.some(({ instance, cause }) => instance === lost && cause === 'crashed');
}

function judgeRefusal(error: ErrorDescription): Verdict {
  return ERRORS[error.code].retry === 'no' ? { kind: 'fail', error } : { kind: 'again', pause: error.message };
}

function judgeFailure(error: ErrorDescription): Verdict {
  if (error.code === 'WORKER_CRASHED') return { kind: 'crashed', isByJob: true };
  // Server A did not send this cancel, so the task does not fail: Server B may be shutting down.
  if (error.code === 'CANCELED' || ERRORS[error.code].retry === 'later') return { kind: 'again', pause: error.message };
  return { kind: error.code === 'IMAGE_CORRUPT' ? 'check-input' : 'fail', error };
}

function judgeStop(error: unknown): Verdict {
  const description = describeError(error);
  return description.code === 'SPOOL_CORRUPT' ? { kind: 'fail', error: description } : { kind: 'stopped', error };
}
