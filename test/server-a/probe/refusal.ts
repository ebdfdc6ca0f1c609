import { expect } from 'chai';
import { DarkroomError, type ErrorCode } from '../../../shared/errors.ts';
import { probeBytes } from './agreement.ts';

/** Asserts that the probe refuses a file with a code. Resolves with the message. */
export async function expectRefusal(bytes: Uint8Array, code: ErrorCode): Promise<string> {
  const outcome = await probeBytes(bytes).catch((error: unknown) => error);
  if (!(outcome instanceof DarkroomError)) throw new Error(`Expected ${code}, received ${JSON.stringify(outcome)}`);
  expect(outcome.code).to.equal(code);
  expect(outcome.message).to.match(/expected|send/i);
  return outcome.message;
}
