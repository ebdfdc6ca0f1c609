import { Metadata, status } from '@grpc/grpc-js';
import { describeError, ERRORS } from '../../../shared/errors.ts';

/** Trailing metadata with the error's stable code. */
export const CODE_KEY = 'darkroom-code';

/** How a call fails, as gRPC tells it. */
export interface CallStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** The status for any thrown thing, by the table in shared/errors.ts. */
export function toStatus(error: unknown): CallStatus {
  const { code, message } = describeError(error);
  const metadata = new Metadata();
  metadata.set(CODE_KEY, code);
  // grpc-js encodes the details as a URI, which throws for half a surrogate pair; a client's own words may hold one.
  return { code: status[ERRORS[code].grpc], details: message.replace(/\p{Cs}/gu, '\uFFFD'), metadata };
}
