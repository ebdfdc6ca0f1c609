import { DarkroomError, systemCode } from '../../shared/errors.ts';

/** Words for a failed connection, by the code of the system, OpenSSL (verify(1)), llhttp or undici. */
const WORDS: readonly (readonly [code: RegExp, words: string])[] = [
  [/^(ENOTFOUND|EAI_|ENODATA)/, 'a host name that does not resolve'],
  [/^ECONNREFUSED$/, 'a refused connection'],
  [/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, 'a connection that was cut'],
  [/CERT|SELF_SIGNED|UNABLE_TO_|CRL/, 'an invalid certificate'],
  [/^(ERR_SSL_|EPROTO$)/, 'no TLS'],
  [/^(HPE_|UND_ERR_(HEADERS_OVERFLOW|RESPONSE))/, 'no well-formed HTTP'],
];

/** The SOURCE_ERROR for an answer that is not the expected one. */
export function unexpectedSource(expected: string, received: string, cause?: unknown): DarkroomError {
  return new DarkroomError('SOURCE_ERROR', `Expected ${expected} from the URL, received ${received}`, { cause });
}

/**
 * The error for a failed fetch: a DarkroomError itself, the signal's reason, or SOURCE_ERROR with the cause for the
 * log.
 */
export function sourceError(cause: unknown, signal: AbortSignal): Error {
  if (cause instanceof DarkroomError) return cause;
  if (signal.aborted) return signal.reason;
  const code = systemCode(cause) ?? '';
  const words = WORDS.find(([pattern]) => pattern.test(code))?.[1] ?? 'no answer';
  return new DarkroomError('SOURCE_ERROR', `Expected a picture from the URL, received ${words}`, { cause });
}
