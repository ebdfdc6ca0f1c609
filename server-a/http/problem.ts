import { STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import { DarkroomError, describeError, ERRORS, type ErrorCode } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { drain, isBodyPending } from './drain.ts';
import type { HttpContext } from './http-context.ts';

/** Media type of every error (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';
/** Seconds after which a client may try again what may succeed later. */
const RETRY_SECONDS = '1';

/** An error as clients read it (RFC 9457). `code` is the stable part, `type` says that `status` has no finer meaning. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly task_id?: string;
}

/** The problem for any thrown thing, by the table in shared/errors.ts. */
export function toProblem(error: unknown, taskId?: string): Problem {
  const { code, message } = describeError(error);
  const status = ERRORS[code].http;
  return {
    type: 'about:blank',
    // Node names every status of the table but 499, which is nginx's.
    title: STATUS_CODES[status] ?? 'Client Closed Request',
    status,
    detail: message,
    code,
    ...(taskId === undefined ? {} : { task_id: taskId }),
  };
}

/**
 * Answers with the problem. Where the request's body is still under way, the answer goes out at once, and the
 * connection closes after the rest has been drained within bounds: closing it earlier would reset it, and the client
 * would see a broken pipe in place of its refusal.
 */
export function answerProblem(context: HttpContext, error: unknown, log: Logger): void {
  const problem = toProblem(error, context.state.taskId);
  if (problem.status >= 500) logFailure(context, error, problem, log);
  const body = Buffer.from(JSON.stringify(problem));
  context.status = problem.status;
  context.set('Content-Type', PROBLEM_TYPE);
  if (ERRORS[problem.code].retry === 'later') context.set('Retry-After', RETRY_SECONDS);
  if (isBodyPending(context.req)) {
    context.set('Connection', 'close');
    context.body = Readable.from(answerThenDrain(context, body));
    context.length = body.length;
  } else {
    context.body = body;
  }
}

async function* answerThenDrain(context: HttpContext, answer: Buffer): AsyncGenerator<Buffer> {
  yield answer;
  await drain(context.req);
}

function logFailure(context: HttpContext, error: unknown, problem: Problem, log: Logger): void {
  const line = { err: error, task_id: problem.task_id, method: context.method, status: problem.status };
  if (error instanceof DarkroomError && problem.code !== 'INTERNAL') log.warn(line, 'request refused');
  else log.error(line, 'request failed');
}
