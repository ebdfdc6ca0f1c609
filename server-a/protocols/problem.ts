import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { describeError, ERRORS, type ErrorCode } from '../../shared/errors.ts';

/** Media type of every error (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';
/** Value of Retry-After for errors that may pass, in seconds. */
const RETRY_SECONDS = '1';
/** Value of WWW-Authenticate, which a 401 must have (RFC 9110, section 11.6.1). */
const CHALLENGE = 'Bearer realm="darkroom"';
/** Milliseconds between an error answer and the close: closing at once could reset the connection before it is read. */
const LINGER_MS = 2_000;

/** An error as clients read it (RFC 9457). `code` is stable; `type` means that the status says all (section 4.2.1). */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly task_id?: string;
}

/** The problem for any thrown value, by the table in shared/errors.ts. */
export function toProblem(error: unknown, taskId?: string): Problem {
  const { code, message } = describeError(error);
  const status = ERRORS[code].http;
  return {
    type: 'about:blank',
    // Node has a name for every status of the table except 499, which comes from nginx.
    title: STATUS_CODES[status] ?? 'Client Closed Request',
    status,
    detail: message,
    code,
    ...(taskId === undefined ? {} : { task_id: taskId }),
  };
}

/** The header fields of a problem over HTTP. */
export function problemHeaders({ status, code }: Problem): Record<string, string> {
  return {
    'Content-Type': PROBLEM_TYPE,
    ...(ERRORS[code].retry === 'later' ? { 'Retry-After': RETRY_SECONDS } : {}),
    ...(status === 401 ? { 'WWW-Authenticate': CHALLENGE } : {}),
    ...(status === 426 ? { Upgrade: 'websocket' } : {}),
  };
}

/** Sends the problem on a connection for which Node has no response object, and closes it 2 s later at most. */
export function refuseSocket(socket: Duplex, error: unknown): void {
  // The client may disconnect before it has read the answer.
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
