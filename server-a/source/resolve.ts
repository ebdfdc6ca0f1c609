import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';

/** Gives all addresses of a name. Rejects as `dns.lookup` does. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

/**
 * A lookup (getaddrinfo(3)) holds one of libuv's four threads, which all files of this process need too, for as long as
 * a name server keeps silent, and cannot be ended.
 */
const MAX_LOOKUPS = 2;

let running = 0;
const waiting = new Set<() => void>();

/** Asks the system's resolver, hosts file included. */
export const resolve: Resolve = (hostname) => lookup(hostname, { all: true });

/** Does a lookup when it has its turn: two at once over the whole process. Rejects with the signal's reason before that. */
export async function inTurn<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  await takeTurn(signal);
  try {
    return await work();
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
