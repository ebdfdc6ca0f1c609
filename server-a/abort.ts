import { DarkroomError, systemCode } from '../shared/errors.ts';

/** Node's error codes for a stream that was aborted or whose connection the other side closed. */
const CUT_CODES: ReadonlySet<string> = new Set(['ABORT_ERR', 'ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE']);

/** True for the error of a stream that was aborted or disconnected. */
export function isCut(error: unknown): boolean {
  return CUT_CODES.has(systemCode(error) ?? '');
}

/**
 * The error to report for work that failed: the signal's reason when the signal has aborted and the abort explains the
 * error (a cut stream, or a request that is incomplete); otherwise the error itself.
 */
export function abortOr(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted && (error instanceof DarkroomError || isCut(error)) ? signal.reason : error;
}
