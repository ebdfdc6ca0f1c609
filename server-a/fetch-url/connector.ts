import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { buildConnector } from 'undici';
import buildUndiciConnector from 'undici/lib/core/connect.js';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';
import { isLocalName, isPublicAddress } from './address.ts';
import type { Resolve } from './resolve.ts';

export interface ConnectorOptions {
  readonly allowPrivate: boolean;
  readonly resolve: Resolve;
  /** Ends the connection in any state. */
  readonly signal: AbortSignal;
}

/**
 * A connector for undici that connects only to public addresses, unless `allowPrivate`. It connects to the addresses
 * that were checked, without a second lookup, whose answer could differ (DNS rebinding). Fails with URL_NOT_ALLOWED.
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
  // The signal replaces undici's timeout. With autoSelectFamily Node asks the lookup for all addresses and tries them.
  const connect = buildUndiciConnector({ signal, lookup, autoSelectFamily: true, timeout: 0, maxCachedSessions: 0 });
  return (options, callback) => {
    // With an aborted signal Node would connect and leave the connection open (seen with 20.20).
    if (signal.aborted) callback(signal.reason, null);
    // Node does not call the lookup for an address.
    else if (allowPrivate || isAllowedHost(options.hostname)) connect(options, callback);
    else callback(notAllowed(options.hostname), null);
  };
}

/** False for hosts that are refused without a lookup. */
function isAllowedHost(hostname: string): boolean {
  return isIP(hostname) === 0 ? !isLocalName(hostname) : isPublicAddress(hostname);
}

/** False when one address is not public: public and private addresses together are a sign of DNS rebinding. */
function areAllPublic(addresses: readonly LookupAddress[]): boolean {
  return addresses.every(({ address }) => isPublicAddress(address));
}

function notAllowed(hostname: string): DarkroomError {
  // The message has no addresses, because they would show a client the private network.
  return new DarkroomError('URL_NOT_ALLOWED', expectedMessage('a public host', 'the URL', hostname));
}
