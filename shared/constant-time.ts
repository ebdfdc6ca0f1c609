import { createHash, timingSafeEqual } from 'node:crypto';

/** A secret as it is compared: digests have one length, whatever the secret has. */
export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** True when a received secret has this digest; takes the same time for every wrong one. */
export function matchesDigest(digest: Buffer, received: string): boolean {
  return timingSafeEqual(digest, digestOf(received));
}
