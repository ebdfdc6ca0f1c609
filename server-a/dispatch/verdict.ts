import { describeError, ERRORS, type ErrorDescription } from '../../shared/errors.ts';
import type { JobOutcome } from './lane-client.ts';

/** What an attempt's outcome means for its task. */
export type Verdict =
  /** The outputs are received: make them durable and complete the task. */
  | { readonly kind: 'complete'; readonly received: Extract<JobOutcome, { kind: 'done' }> }
  | { readonly kind: 'fail'; readonly error: ErrorDescription }
  /** The picture cannot be decoded: fail the task, after checking whether our own disk has damaged the input. */
  | { readonly kind: 'check-input'; readonly error: ErrorDescription }
  /** The task runs again at no cost to it; with a reason to pause, dispatch pauses first. */
  | { readonly kind: 'again'; readonly pause: string | null }
  /** Server A itself failed, as on a full disk: pause, then run the task again at no cost to it. */
  | { readonly kind: 'stopped'; readonly error: unknown }
  /** A thread or an instance died under the job, or under one that ran beside it. */
  | { readonly kind: 'crashed' }
  /** Whether the instance died is known when the next one answers. */
  | { readonly kind: 'doubt'; readonly instance: string };

/** Decides what an outcome means. `instance` is the life of Server B that answered last; null when none has. */
export function judge(outcome: JobOutcome, instance: string | null): Verdict {
  switch (outcome.kind) {
    case 'done':
      return { kind: 'complete', received: outcome };
    case 'refused':
      return judgeRefusal(outcome.error);
    case 'failed':
      return judgeFailure(outcome.error);
    case 'lost':
      return outcome.isPastGo ? judgeLoss(outcome.instance, instance) : { kind: 'again', pause: null };
    case 'stopped':
      return judgeStop(outcome.error);
    case 'canceled':
      // The task has ended already, but the records still has to know that this attempt is over.
      return { kind: 'again', pause: null };
  }
}

/** A job past GO lost its lane. It crashed if another instance has answered since; otherwise the next answer decides. */
function judgeLoss(lost: string, instance: string | null): Verdict {
  if (instance !== null && instance !== lost) return { kind: 'crashed' };
  return { kind: 'doubt', instance: lost };
}

function judgeRefusal(error: ErrorDescription): Verdict {
  return ERRORS[error.code].retry === 'no' ? { kind: 'fail', error } : { kind: 'again', pause: error.message };
}

function judgeFailure(error: ErrorDescription): Verdict {
  if (error.code === 'WORKER_CRASHED') return { kind: 'crashed' };
  // Server A did not ask for this cancel, so it is no reason to fail the task: Server B may be shutting down.
  if (error.code === 'CANCELED' || ERRORS[error.code].retry === 'later') return { kind: 'again', pause: error.message };
  return { kind: error.code === 'IMAGE_CORRUPT' ? 'check-input' : 'fail', error };
}

function judgeStop(error: unknown): Verdict {
  const description = describeError(error);
  return description.code === 'SPOOL_CORRUPT' ? { kind: 'fail', error: description } : { kind: 'stopped', error };
}
