/** How a code is told over HTTP (RFC 9110 status), over gRPC (status name), and whether the same request may succeed later. */
interface ErrorRow {
  readonly http: number;
  readonly grpc: string;
  readonly retry: 'no' | 'yes' | 'later';
}

/** The one table of errors: every protocol translates from here and has no switch of its own. */
export const ERRORS = {
  BAD_REQUEST: { http: 400, grpc: 'INVALID_ARGUMENT', retry: 'no' },
  UNAUTHENTICATED: { http: 401, grpc: 'UNAUTHENTICATED', retry: 'no' },
  PATH_NOT_ALLOWED: { http: 403, grpc: 'PERMISSION_DENIED', retry: 'no' },
  URL_NOT_ALLOWED: { http: 403, grpc: 'PERMISSION_DENIED', retry: 'no' },
  ORIGIN_NOT_ALLOWED: { http: 403, grpc: 'PERMISSION_DENIED', retry: 'no' },
  TASK_NOT_FOUND: { http: 404, grpc: 'NOT_FOUND', retry: 'no' },
  NOT_FOUND: { http: 404, grpc: 'NOT_FOUND', retry: 'no' },
  METHOD_NOT_ALLOWED: { http: 405, grpc: 'UNIMPLEMENTED', retry: 'no' },
  REQUEST_TIMEOUT: { http: 408, grpc: 'DEADLINE_EXCEEDED', retry: 'yes' },
  NOT_READY: { http: 409, grpc: 'FAILED_PRECONDITION', retry: 'later' },
  EXPIRED: { http: 410, grpc: 'NOT_FOUND', retry: 'no' },
  PAYLOAD_TOO_LARGE: { http: 413, grpc: 'RESOURCE_EXHAUSTED', retry: 'no' },
  IMAGE_TOO_LARGE: { http: 413, grpc: 'RESOURCE_EXHAUSTED', retry: 'no' },
  UNSUPPORTED_IMAGE: { http: 415, grpc: 'INVALID_ARGUMENT', retry: 'no' },
  UNSUPPORTED_MEDIA_TYPE: { http: 415, grpc: 'INVALID_ARGUMENT', retry: 'no' },
  RANGE_NOT_SATISFIABLE: { http: 416, grpc: 'OUT_OF_RANGE', retry: 'no' },
  IMAGE_CORRUPT: { http: 422, grpc: 'INVALID_ARGUMENT', retry: 'no' },
  IDEMPOTENCY_CONFLICT: { http: 422, grpc: 'INVALID_ARGUMENT', retry: 'no' },
  UPGRADE_REQUIRED: { http: 426, grpc: 'UNIMPLEMENTED', retry: 'no' },
  QUEUE_FULL: { http: 429, grpc: 'RESOURCE_EXHAUSTED', retry: 'later' },
  RATE_LIMITED: { http: 429, grpc: 'RESOURCE_EXHAUSTED', retry: 'later' },
  CANCELED: { http: 499, grpc: 'CANCELLED', retry: 'no' },
  INTERNAL: { http: 500, grpc: 'INTERNAL', retry: 'no' },
  WORKER_CRASHED: { http: 500, grpc: 'INTERNAL', retry: 'no' },
  SPOOL_CORRUPT: { http: 500, grpc: 'INTERNAL', retry: 'no' },
  SOURCE_ERROR: { http: 502, grpc: 'UNAVAILABLE', retry: 'yes' },
  DRAINING: { http: 503, grpc: 'UNAVAILABLE', retry: 'later' },
  MODEL_UNAVAILABLE: { http: 503, grpc: 'UNAVAILABLE', retry: 'later' },
  BACKEND_UNAVAILABLE: { http: 503, grpc: 'UNAVAILABLE', retry: 'later' },
  TIMEOUT: { http: 504, grpc: 'DEADLINE_EXCEEDED', retry: 'no' },
  SOURCE_TIMEOUT: { http: 504, grpc: 'DEADLINE_EXCEEDED', retry: 'no' },
  STORAGE_FULL: { http: 507, grpc: 'RESOURCE_EXHAUSTED', retry: 'later' },
} as const satisfies Record<string, ErrorRow>;

/** A stable, machine-readable reason; a key of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** Every code, for schemas. */
export const ERROR_CODES = Object.keys(ERRORS).filter(isErrorCode);

/** True for a text that is a code of the table. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** A code and a sentence a client may read: what a task's `error` is, and what crosses the socket. */
export interface ErrorDescription {
  readonly code: ErrorCode;
  readonly message: string;
}

/** The only error class whose message reaches a client. Anything else is told as INTERNAL. */
export class DarkroomError extends Error {
  override readonly name = 'DarkroomError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The DRAINING that every protocol tells while the service stops, and whoever waits for what will not come. */
export function shuttingDown(): DarkroomError {
  return new DarkroomError('DRAINING', 'The server is shutting down.');
}

/** The BAD_REQUEST for a value that is not what was asked for, in the one phrasing used everywhere. */
export function invalid(expected: string, name: string, received: unknown): DarkroomError {
  return new DarkroomError('BAD_REQUEST', expectedMessage(expected, name, received));
}

/** "Expected a number in (0, 10] for scale_factor, received 'abc'"; long values are cut at 60 characters. */
export function expectedMessage(expected: string, name: string, received: unknown): string {
  return `Expected ${expected} for ${name}, received ${show(received)}`;
}

/** What a client may be told of any thrown thing: a DarkroomError's own words, and of all else only that it happened. */
export function describeError(error: unknown): ErrorDescription {
  if (error instanceof DarkroomError) return { code: error.code, message: error.message };
  return { code: 'INTERNAL', message: 'Darkroom failed inside; the log has the reason' };
}

/** The system's error code of a thrown thing (`ENOENT`, `EADDRINUSE`, …), or undefined when it carries none. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'string' ? `'${value}'` : typeof value === 'object' ? showObject(value) : String(value);
  // A cut between the two halves of a character leaves none of it.
  return text.length > 60 ? `${text.slice(0, 59).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
}

function showObject(value: object | null): string {
  try {
    return String(JSON.stringify(value));
  } catch {
    return 'an object that JSON cannot show';
  }
}
