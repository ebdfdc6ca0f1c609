import { invalid } from '../../../../shared/errors.ts';
import { hasEnded, type Task } from '../../../../shared/task.ts';
import type { Tasks } from '../../../tasks/tasks.ts';
import type { HttpContext } from '../http-context.ts';
import { withServerSignal } from '../server-signal.ts';

/** The longest a request may be held for its task's end, in seconds. */
export const MAX_WAIT_SECONDS = 60;

/** How long the client would rather wait than poll. */
export interface Wait {
  readonly seconds: number;
  /** What `Preference-Applied` says when a `Prefer` header asked for it; null when the query did. */
  readonly applied: string | null;
}

/**
 * The wait asked for by `?wait=N` or else by `Prefer: wait=N` (RFC 7240, section 4.3), or null. Either is cut
 * to a minute. What cannot be read is ignored in the header, which is a wish, and BAD_REQUEST in the query.
 */
export function readWait(context: HttpContext): Wait | null {
  const { wait } = context.query;
  if (wait !== undefined) {
    if (typeof wait !== 'string' || !/^\d{1,9}$/.test(wait)) throw invalid('whole seconds', 'wait', wait);
    return { seconds: Math.min(Number(wait), MAX_WAIT_SECONDS), applied: null };
  }
  const preferred = preferredWait(context.get('Prefer'));
  if (preferred === null) return null;
  const seconds = Math.min(preferred, MAX_WAIT_SECONDS);
  return { seconds, applied: `wait=${seconds}` };
}

/** Seconds of a Prefer header's `wait`, whose first occurrence counts; null when there is none that can be read. */
export function preferredWait(header: string): number | null {
  for (const preference of header.split(',')) {
    const [name = '', value = ''] = (preference.split(';', 1)[0] ?? '').split('=', 2);
    if (name.trim().toLowerCase() !== 'wait') continue;
    const digits = /^\s*("?)(\d{1,9})\1\s*$/.exec(value)?.[2];
    return digits === undefined ? null : Number(digits);
  }
  return null;
}

/**
 * The task when it has ended, the wait is over, the client has gone or the server closes, whichever is first; says so
 * when a header asked for it.
 */
export async function waitForEnd(context: HttpContext, tasks: Tasks, task: Task, wait: Wait | null): Promise<Task> {
  if (wait === null) return task;
  if (wait.applied !== null) context.set('Preference-Applied', wait.applied);
  if (hasEnded(task.status)) return task;
  return withServerSignal(context, (signal) => tasks.wait(task.task_id, wait.seconds * 1000, signal));
}
