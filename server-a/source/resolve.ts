import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';

/** Gives all addresses of a name. Rejects as `dns.lookup` does, or with the signal's reason. */
export type Resolve = (hostname: string, signal: AbortSignal) => Promise<LookupAddress[]>;

/**
 * A lookup (getaddrinfo(3)) holds one of libuv's four threads, which all files of this process need too, for as long as
 * a name server keeps silent, and cannot be ended.
 */
const MAX_LOOKUPS = 2;

let running = 0;
const waiting = new Set<() => void>();

/** Asks the system's resolver, hosts file included; two names at once over the whole process, the others wait. */
export async function resolve(hostname: string, signal: AbortSignal): Promise<LookupAddress[]> {
  await takeTurn(signal);
  try {
    return await lookup(hostname, { all: true });
  } finally {
    running -= 1;
    const [next] = waiting;
    next?.();
  }
}

function takeTurn(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    function start(): void {
      leave();
      running += 1;
      resolve();
    }
    function giveUp(): void {
      leave();
      reject(signal.reason);
    }
    function leave(): void {
      waiting.delete(start);
      signal.removeEventListener('abort', giveUp);
    }
    if (signal.aborted) reject(signal.reason);
    else if (running < MAX_LOOKUPS) start();
    else {
      waiting.add(start);
      signal.addEventListener('abort', giveUp);
    }
  });
}
