import { Metadata, status } from '@grpc/grpc-js';
import { describeError, ERRORS } from '../../../shared/errors.ts';

/** Trailing metadata with the error's stable code. */
export const CODE_KEY = 'darkroom-code';

/** The status of a failed call. */
export interface CallStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** The status for any thrown value, by the table in shared/errors.ts. */
export function toStatus(error: unknown): CallStatus {
  const { code, message } = describeError(error);
  const metadata = new Metadata();
  metadata.set(CODE_KEY, code);
  // grpc-js percent-encodes the details, which throws for half a surrogate pair. A message may quote one from a client.
  return { code: status[ERRORS[code].grpc], details: message.replace(/\p{Cs}/gu, '\uFFFD'), metadata };
}
