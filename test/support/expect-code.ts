import { expect } from 'chai';
import { DarkroomError, type ErrorCode } from '../../shared/errors.ts';

/** Asserts that a promise rejects with a DarkroomError of this code. Resolves with its message. */
export async function expectCode(code: ErrorCode, promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error(`Expected ${code}, received a value`),
    (error: unknown) => error,
  );
  if (!(error instanceof DarkroomError)) throw error;
  expect(error.code, error.message).to.equal(code);
  return error.message;
}
