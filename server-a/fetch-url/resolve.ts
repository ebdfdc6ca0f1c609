import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';

/** Gives all addresses of a name. Rejects as `dns.lookup` does. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

/**
 * A lookup (getaddrinfo(3)) holds one of libuv's four threads, which all files of this process need too, for as long as
 * a name server keeps silent, and cannot be ended.
 */
const MAX_LOOKUPS = 2;

/** Lookups under way, by name. */
const underWay = new Map<string, { readonly resolve: Resolve; readonly answer: Promise<LookupAddress[]> }>();
let running = 0;
/** Wakes those who wait for their turn, when a lookup begins or ends. */
const waiting = new Set<() => void>();

/** Asks the system's resolver, hosts file included. */
export const resolve: Resolve = (hostname) => lookup(hostname, { all: true });

/**
 * Looks a name up when it has its turn, two names at once over the whole process; whoever asks for a name that is being
 * looked up is answered with the others. `begun` is called when it is. Rejects with the signal's reason before that.
 */
export async function resolveInTurn(
  hostname: string,
  resolve: Resolve,
  signal: AbortSignal,
  begun: () => void,
): Promise<LookupAddress[]> {
  for (;;) {
    signal.throwIfAborted();
    const sought = underWay.get(hostname);
    if (sought?.resolve === resolve) {
      begun();
      return sought.answer;
    }
    if (running < MAX_LOOKUPS) break;
    await change(signal);
  }
  running += 1;
  begun();
  const answer = resolve(hostname);
  underWay.set(hostname, { resolve, answer });
  wakeAll();
  try {
    return await answer;
  } finally {
    if (underWay.get(hostname)?.answer === answer) underWay.delete(hostname);
    running -= 1;
    wakeAll();
  }
}

function wakeAll(): void {
  for (const wake of [...waiting]) wake();
}

/** Resolves when a lookup begins or ends. Rejects with the signal's reason. */
function change(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    function wake(): void {
      leave();
      resolve();
    }
    function giveUp(): void {
      leave();
      reject(signal.reason);
    }
    function leave(): void {
      waiting.delete(wake);
      signal.removeEventListener('abort', giveUp);
    }
    waiting.add(wake);
    signal.addEventListener('abort', giveUp);
  });
}
