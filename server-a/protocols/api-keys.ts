import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { DarkroomError } from '../../shared/errors.ts';

/**
 * A check that passes when one of the keys a client gave is among `keys`, and always when there are none. Throws
 * UNAUTHENTICATED, saying where keys are `expected`. The comparison takes the same time for every wrong key.
 */
export function apiKeyCheck(keys: readonly string[], expected: string): (given: readonly string[]) => void {
  const digests = keys.map(digest);
  return (given) => {
    if (digests.length === 0 || given.some((key) => isAmong(digests, key))) return;
    const received = given.length === 0 ? 'none' : 'another';
    throw new DarkroomError('UNAUTHENTICATED', `Expected an API key in ${expected}, received ${received}`);
  };
}

/** The keys in `Authorization: Bearer <key>` and `X-Api-Key`. */
export function keysInHeaders(headers: IncomingHttpHeaders): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  return [bearer, headers['x-api-key']].flat().filter((key) => key !== undefined);
}

/** Compares with every key: stopping at the first match would tell its place in the list. */
function isAmong(digests: readonly Buffer[], key: string): boolean {
  const given = digest(key);
  return digests.map((one) => timingSafeEqual(one, given)).includes(true);
}

/** Digests have one length, which timingSafeEqual needs. */
function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
