import { Readable } from 'node:stream';
import { DarkroomError } from '../../../../shared/errors.ts';
import type { Logger } from '../../../../shared/log.ts';
import { type Problem, problemHeaders, toProblem } from '../../problem.ts';
import { drain, isBodyPending } from '../body/drain.ts';
import type { HttpContext } from '../http-context.ts';

/** Answers with the problem, even before the request's whole body has arrived. */
export function answerProblem(context: HttpContext, error: unknown, log: Logger): void {
  const problem = toProblem(error, context.state.taskId);
  if (problem.status >= 500) logFailure(context, error, problem, log);
  const body = Buffer.from(JSON.stringify(problem));
  context.status = problem.status;
  context.set(problemHeaders(problem));
  answerEarly(context, body);
}

/**
 * Sends the body of an answer whose status and type are set. If the request's body has not arrived yet, the answer is
 * sent at once, and the connection closes after the rest has been drained within bounds. Closing it earlier would
 * reset it, and the client would see a broken pipe instead of its answer.
 */
export function answerEarly(context: HttpContext, body: Buffer): void {
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
  if (error instanceof DarkroomError && problem.code !== 'INTERNAL') log.warn(line, 'could not serve an HTTP request');
  else log.error(line, 'an HTTP request failed unexpectedly');
}
