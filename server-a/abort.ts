import { DarkroomError, systemCode } from '../shared/errors.ts';

/** What Node says of a stream that an abort ended, or whose connection the other side gave up. */
const CUT_CODES: ReadonlySet<string> = new Set(['ABORT_ERR', 'ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE']);

/** True for the error of a stream that was cut. */
export function isCut(error: unknown): boolean {
  return CUT_CODES.has(systemCode(error) ?? '');
}

/**
 * What to tell of work that failed: the signal's reason when it has aborted and the error is that, a cut stream's, or
 * what was found wrong with half a request; any other error as it is, for it would have come without the abort, too.
 */
export function abortOr(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted && (error instanceof DarkroomError || isCut(error)) ? signal.reason : error;
}
