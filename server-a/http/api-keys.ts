import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { DarkroomError } from '../../shared/errors.ts';
import type { HttpContext } from './http-context.ts';

/** What a 401 tells the client to send (RFC 9110, section 11.6.1). */
const CHALLENGE = 'Bearer realm="darkroom"';

/**
 * A check that lets a request pass when it carries one of the keys, as `Authorization: Bearer <key>` or `X-Api-Key`;
 * with no keys everything passes. Throws UNAUTHENTICATED. The comparison takes the same time for every wrong key.
 */
export function apiKeyCheck(keys: readonly string[]): (context: HttpContext) => void {
  const digests = keys.map(digest);
  return (context) => {
    if (digests.length === 0) return;
    const given = givenKeys(context.headers);
    if (given.some((key) => isAmong(digests, key))) return;
    context.set('WWW-Authenticate', CHALLENGE);
    const received = given.length === 0 ? 'none' : 'another';
    const expected = 'Expected an API key in Authorization: Bearer or X-Api-Key';
    throw new DarkroomError('UNAUTHENTICATED', `${expected}, received ${received}`);
  };
}

function givenKeys(headers: IncomingHttpHeaders): string[] {
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
