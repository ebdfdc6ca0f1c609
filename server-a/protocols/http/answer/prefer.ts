import { invalid } from '../../../../shared/errors.ts';
import { hasEnded, type Task } from '../../../../shared/task.ts';
import type { Tasks } from '../../../tasks/tasks.ts';
import type { HttpContext } from '../http-context.ts';
import { withServerSignal } from '../server-signal.ts';

/** The longest time that a request may wait for the end of its task, in seconds. */
export const MAX_WAIT_SECONDS = 60;

/** How long a request waits for the end of its task. */
export interface Wait {
  readonly seconds: number;
  /** The value of `Preference-Applied` for a wait by `Prefer`; null for one by the query. */
  readonly applied: string | null;
}

/**
 * The wait that `?wait=N` or else `Prefer: wait=N` (RFC 7240, section 4.3) asks for, at most a minute, or null. An
 * invalid header is ignored, as RFC 7240 wants. Throws BAD_REQUEST for an invalid query.
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

/** The seconds of the first `wait` in a Prefer header; null when it is missing or invalid. */
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
 * The task when it has ended, or when the wait is over, the client disconnects or the server closes. Sets
 * `Preference-Applied` for a wait by `Prefer`.
 */
export async function waitForEnd(context: HttpContext, tasks: Tasks, task: Task, wait: Wait | null): Promise<Task> {
  if (wait === null) return task;
  if (wait.applied !== null) context.set('Preference-Applied', wait.applied);
  if (hasEnded(task.status)) return task;
  return withServerSignal(context, (signal) => tasks.wait(task.task_id, wait.seconds * 1000, signal));
}
