import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';
import { isLocalName, isPublicAddress } from './address.ts';
import type { Resolve } from './resolve.ts';

export interface ConnectorOptions {
  readonly allowPrivate: boolean;
  readonly resolve: Resolve;
  /** Ends a connection in whatever state it is. */
  readonly signal: AbortSignal;
}

/**
 * undici's connector, which connects to public addresses only. The addresses that are checked are those it connects to:
 * there is no second lookup that could answer otherwise (DNS rebinding). Fails with URL_NOT_ALLOWED.
 */
export function guardedConnector({ allowPrivate, resolve, signal }: ConnectorOptions): buildConnector.connector {
  const lookup: LookupFunction = (hostname, _options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const isAllowed = allowPrivate || areAllPublic(addresses);
        callback(isAllowed ? null : notAllowed(hostname), isAllowed ? addresses : []);
      },
      (error) => callback(error, []),
    );
  };
  // The signal's deadline stands for undici's own; autoSelectFamily asks the lookup for all addresses and tries them.
  const connect = buildConnector({ signal, lookup, autoSelectFamily: true, timeout: 0, maxCachedSessions: 0 });
  return (options, callback) => {
    // Node connects, and leaves the connection open, when the signal was aborted before (seen with 20.20).
    if (signal.aborted) callback(signal.reason, null);
    // A literal is never looked up.
    else if (allowPrivate || isAllowedHost(options.hostname)) connect(options, callback);
    else callback(notAllowed(options.hostname), null);
  };
}

/** False for the hosts that are refused without a lookup. */
function isAllowedHost(hostname: string): boolean {
  return isIP(hostname) === 0 ? !isLocalName(hostname) : isPublicAddress(hostname);
}

/** One address that is not public refuses the name: a mixture is what rebinding looks like. */
function areAllPublic(addresses: readonly LookupAddress[]): boolean {
  return addresses.every(({ address }) => isPublicAddress(address));
}

function notAllowed(hostname: string): DarkroomError {
  // The addresses are not told: they would map a private network for whoever asks.
  return new DarkroomError('URL_NOT_ALLOWED', expectedMessage('a public host', 'the URL', hostname));
}
