/** The facts about an error code that every protocol needs. */
interface ErrorRow {
  /** HTTP status (RFC 9110). */
  readonly http: number;
  /** Name of the gRPC status. */
  readonly grpc: string;
  /** If a client may send the same request again: never, at once, or after a pause. */
  readonly retry: 'no' | 'yes' | 'later';
  /** When a client gets the code: one sentence for the tables in docs/, without `|`. */
  readonly when: string;
}

/** The only table of errors. Every protocol translates codes by it, and docs/http.md and docs/grpc.md show it. */
export const ERRORS = {
  BAD_REQUEST: {
    http: 400,
    grpc: 'INVALID_ARGUMENT',
    retry: 'no',
    when: 'A field, a form or the whole request is not valid; or no image, two images, no output or no bytes were sent.',
  },
  UNAUTHENTICATED: {
    http: 401,
    grpc: 'UNAUTHENTICATED',
    retry: 'no',
    when: 'The server has API keys, and the request has none or a wrong one.',
  },
  PATH_NOT_ALLOWED: {
    http: 403,
    grpc: 'PERMISSION_DENIED',
    retry: 'no',
    when: 'The path is not a file below the folder that --path-root names.',
  },
  URL_NOT_ALLOWED: {
    http: 403,
    grpc: 'PERMISSION_DENIED',
    retry: 'no',
    when: 'The server does not fetch the URL, because of its scheme, credentials or address.',
  },
  ORIGIN_NOT_ALLOWED: {
    http: 403,
    grpc: 'PERMISSION_DENIED',
    retry: 'no',
    when: 'A web page of another host sent the request.',
  },
  TASK_NOT_FOUND: { http: 404, grpc: 'NOT_FOUND', retry: 'no', when: 'No task has this id.' },
  NOT_FOUND: {
    http: 404,
    grpc: 'NOT_FOUND',
    retry: 'no',
    when: 'There is no such route, output, kept picture or snippet.',
  },
  METHOD_NOT_ALLOWED: {
    http: 405,
    grpc: 'UNIMPLEMENTED',
    retry: 'no',
    when: 'The route has other methods, which `Allow` lists.',
  },
  REQUEST_TIMEOUT: {
    http: 408,
    grpc: 'DEADLINE_EXCEEDED',
    retry: 'yes',
    when: 'The request did not arrive completely in time.',
  },
  NOT_READY: { http: 409, grpc: 'FAILED_PRECONDITION', retry: 'later', when: 'The task has not ended yet.' },
  EXPIRED: { http: 410, grpc: 'NOT_FOUND', retry: 'no', when: 'The result has expired and is deleted.' },
  PAYLOAD_TOO_LARGE: {
    http: 413,
    grpc: 'RESOURCE_EXHAUSTED',
    retry: 'no',
    when: 'The upload or the fetched picture has too many bytes.',
  },
  IMAGE_TOO_LARGE: {
    http: 413,
    grpc: 'RESOURCE_EXHAUSTED',
    retry: 'no',
    when: 'The picture or an output has too many pixels or needs too much memory.',
  },
  UNSUPPORTED_IMAGE: {
    http: 415,
    grpc: 'INVALID_ARGUMENT',
    retry: 'no',
    when: 'Darkroom does not read this format, or this variant of it.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    http: 415,
    grpc: 'INVALID_ARGUMENT',
    retry: 'no',
    when: 'The route does not accept this type of body, or the body is compressed.',
  },
  RANGE_NOT_SATISFIABLE: {
    http: 416,
    grpc: 'OUT_OF_RANGE',
    retry: 'no',
    when: 'The result has no byte of the requested range.',
  },
  IMAGE_CORRUPT: {
    http: 422,
    grpc: 'INVALID_ARGUMENT',
    retry: 'no',
    when: 'The header or the pixels of the picture cannot be decoded.',
  },
  QUARANTINED: {
    http: 422,
    grpc: 'INVALID_ARGUMENT',
    retry: 'no',
    when: 'The same bytes have crashed a worker within the last --quarantine-hours.',
  },
  IDEMPOTENCY_CONFLICT: { http: 422, grpc: 'INVALID_ARGUMENT', retry: 'no', when: 'Reserved: no server sends it yet.' },
  UPGRADE_REQUIRED: {
    http: 426,
    grpc: 'UNIMPLEMENTED',
    retry: 'no',
    when: 'The path serves only WebSockets, but the request does not open one.',
  },
  QUEUE_FULL: { http: 429, grpc: 'RESOURCE_EXHAUSTED', retry: 'later', when: 'Too many tasks or listed URLs wait.' },
  RATE_LIMITED: {
    http: 429,
    grpc: 'RESOURCE_EXHAUSTED',
    retry: 'later',
    when: 'Too many gRPC calls, or subscriptions of one connection, are open.',
  },
  CANCELED: { http: 499, grpc: 'CANCELLED', retry: 'no', when: 'The task was canceled.' },
  INTERNAL: { http: 500, grpc: 'INTERNAL', retry: 'no', when: 'Darkroom failed; its log has the reason.' },
  WORKER_CRASHED: {
    http: 500,
    grpc: 'INTERNAL',
    retry: 'no',
    when: 'The picture crashed its worker three times, or its worker ended twenty times.',
  },
  SPOOL_CORRUPT: { http: 500, grpc: 'INTERNAL', retry: 'no', when: 'A stored file is missing or damaged.' },
  SOURCE_ERROR: { http: 502, grpc: 'UNAVAILABLE', retry: 'yes', when: 'The URL could not be fetched.' },
  DRAINING: { http: 503, grpc: 'UNAVAILABLE', retry: 'later', when: 'The server is shutting down.' },
  MODEL_UNAVAILABLE: {
    http: 503,
    grpc: 'UNAVAILABLE',
    retry: 'later',
    when: 'The classifier is missing or cannot be used.',
  },
  BACKEND_UNAVAILABLE: { http: 503, grpc: 'UNAVAILABLE', retry: 'later', when: 'Server B cannot be reached.' },
  TIMEOUT: {
    http: 504,
    grpc: 'DEADLINE_EXCEEDED',
    retry: 'no',
    when: 'A worker took longer than --job-seconds for the task.',
  },
  SOURCE_TIMEOUT: {
    http: 504,
    grpc: 'DEADLINE_EXCEEDED',
    retry: 'no',
    when: 'Fetching the URL took longer than --fetch-seconds.',
  },
  STORAGE_FULL: {
    http: 507,
    grpc: 'RESOURCE_EXHAUSTED',
    retry: 'later',
    when: 'The disk, or the space that Darkroom may use, is full.',
  },
} as const satisfies Record<string, ErrorRow>;

/** A stable, machine-readable reason; a key of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** Every code, for schemas. */
export const ERROR_CODES = Object.keys(ERRORS).filter(isErrorCode);

/** True for a text that is a code of the table. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** A code and a message for the client. It is a task's `error`, and the form of every error on the socket. */
export interface ErrorDescription {
  readonly code: ErrorCode;
  readonly message: string;
}

/** The only error class whose message reaches a client. Every other error reaches a client as INTERNAL. */
export class DarkroomError extends Error {
  override readonly name = 'DarkroomError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The DRAINING that every protocol answers while the service stops. Also ends a wait that can no longer succeed. */
export function shuttingDown(): DarkroomError {
  return new DarkroomError('DRAINING', 'The server is shutting down.');
}

/** A BAD_REQUEST for an invalid value, with the message of {@link expectedMessage}. */
export function invalid(expected: string, name: string, received: unknown): DarkroomError {
  return new DarkroomError('BAD_REQUEST', expectedMessage(expected, name, received));
}

/** "Expected a number in (0, 10] for scale_factor, received 'abc'"; the value is truncated to 60 characters. */
export function expectedMessage(expected: string, name: string, received: unknown): string {
  return `Expected ${expected} for ${name}, received ${show(received)}`;
}

/**
 * The code and message that a client gets for a thrown value: INTERNAL without details unless it is a DarkroomError.
 */
export function describeError(error: unknown): ErrorDescription {
  if (error instanceof DarkroomError) return { code: error.code, message: error.message };
  return { code: 'INTERNAL', message: 'Darkroom failed; its log has the reason.' };
}

/** The system's error code of a thrown value (`ENOENT`, `EADDRINUSE`, …); undefined when it has none. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = typeof value === 'string' ? `'${value}'` : typeof value === 'object' ? showObject(value) : String(value);
  // A surrogate pair that the limit splits is removed whole.
  return text.length > 60 ? `${text.slice(0, 59).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
}

function showObject(value: object | null): string {
  try {
    return String(JSON.stringify(value));
  } catch {
    return 'an object that JSON cannot show';
  }
}
