import type { IncomingHttpHeaders } from 'node:http';
import { digestOf, matchesDigest } from '../../shared/constant-time.ts';
import { DarkroomError } from '../../shared/errors.ts';

/**
 * A check that passes when one of the client's keys is in `keys`, or when `keys` is empty. The check throws
 * UNAUTHENTICATED, whose message says where keys are `expected`. It takes the same time for every wrong key.
 */
export function apiKeyCheck(keys: readonly string[], expected: string): (given: readonly string[]) => void {
  const digests = keys.map(digestOf);
  return (given) => {
    if (digests.length === 0 || given.some((key) => matchesAny(digests, key))) return;
    const received = given.length === 0 ? 'none' : 'another';
    throw new DarkroomError('UNAUTHENTICATED', `Expected an API key in ${expected}, received ${received}`);
  };
}

/** The keys in `Authorization: Bearer <key>` and `X-Api-Key`. */
export function keysInHeaders(headers: IncomingHttpHeaders): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  return [bearer, headers['x-api-key']].flat().filter((key) => key !== undefined);
}

/** Compares with every key: stopping at the first match would reveal its place in the list. */
function matchesAny(digests: readonly Buffer[], key: string): boolean {
  return digests.map((digest) => matchesDigest(digest, key)).includes(true);
}
