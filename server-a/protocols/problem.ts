import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { describeError, ERRORS, type ErrorCode } from '../../shared/errors.ts';

/** Media type of every error (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';
/** Seconds after which a client may try again what may succeed later. */
const RETRY_SECONDS = '1';
/** What a 401 tells the client to send (RFC 9110, section 11.6.1). */
const CHALLENGE = 'Bearer realm="darkroom"';
/** Milliseconds a client is read on after {@link refuseSocket}, so that it can read why. */
const LINGER_MS = 2_000;

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

/** The header fields that go with a problem over HTTP. */
export function problemHeaders({ status, code }: Problem): Record<string, string> {
  return {
    'Content-Type': PROBLEM_TYPE,
    ...(ERRORS[code].retry === 'later' ? { 'Retry-After': RETRY_SECONDS } : {}),
    ...(status === 401 ? { 'WWW-Authenticate': CHALLENGE } : {}),
    ...(status === 426 ? { Upgrade: 'websocket' } : {}),
  };
}

/** Answers with the problem on a connection that Node gives no response for, and closes it a moment later. */
export function refuseSocket(socket: Duplex, error: unknown): void {
  // A client that has gone meanwhile needs no answer.
  socket.on('error', () => undefined);
  socket.end(rawAnswer(toProblem(error)));
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(linger));
}

function rawAnswer(problem: Problem): string {
  const body = JSON.stringify(problem);
  const fields = { ...problemHeaders(problem), 'Content-Length': Buffer.byteLength(body), Connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${problem.status} ${problem.title}`, ...lines, '', body].join('\r\n');
}
