import { createHash, timingSafeEqual } from 'node:crypto';

/** The SHA-256 of a secret. All digests have one length, which a comparison in constant time needs. */
export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** True when the received secret has this digest; compared in constant time. */
export function matchesDigest(digest: Buffer, received: string): boolean {
  return timingSafeEqual(digest, digestOf(received));
}
