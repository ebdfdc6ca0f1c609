import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { EventEmitter, once } from 'node:events';

/** Resolves with all addresses of a name. Rejects like `dns.lookup`. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

/**
 * While a name server is silent, a lookup (getaddrinfo(3)) blocks one of libuv's four threads, which this process also
 * needs for all its files. A lookup cannot be aborted.
 */
const MAX_LOOKUPS = 2;

/** The running lookups by name. */
const running = new Map<string, { readonly resolve: Resolve; readonly answer: Promise<LookupAddress[]> }>();
let runningCount = 0;
/** Emits `change` when a lookup starts or ends. */
const lookups = new EventEmitter().setMaxListeners(0);

/** Asks the system's resolver, which also reads the hosts file. */
export const resolve: Resolve = (hostname) => lookup(hostname, { all: true });

/**
 * Looks a name up; the whole process runs two lookups at once, and calls for the same name share one. `started` is
 * called when the lookup starts or a running one is joined. Rejects with the signal's reason before that.
 */
export async function resolveInTurn(
  hostname: string,
  resolve: Resolve,
  signal: AbortSignal,
  started: () => void,
): Promise<LookupAddress[]> {
  for (;;) {
    signal.throwIfAborted();
    const shared = running.get(hostname);
    if (shared?.resolve === resolve) {
      started();
      return shared.answer;
    }
    if (runningCount < MAX_LOOKUPS) break;
    // An abort ends the wait; the next round throws its reason.
    await once(lookups, 'change', { signal }).catch(() => undefined);
  }
  started();
  return start(hostname, resolve);
}

async function start(hostname: string, resolve: Resolve): Promise<LookupAddress[]> {
  runningCount += 1;
  const answer = resolve(hostname);
  running.set(hostname, { resolve, answer });
  lookups.emit('change');
  try {
    return await answer;
  } finally {
    if (running.get(hostname)?.answer === answer) running.delete(hostname);
    runningCount -= 1;
    lookups.emit('change');
  }
}
