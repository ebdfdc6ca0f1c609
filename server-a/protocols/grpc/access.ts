import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { apiKeyCheck, keysInHeaders } from '../api-keys.ts';
import { toStatus } from './status.ts';

/** Methods that need no key: they reveal nothing about tasks. */
const OPEN = /^\/grpc\.(health|reflection)\./;

/**
 * Refuses a call before its first message is read when its metadata, `authorization` or `x-api-key`, has none of the
 * keys. Health and reflection need no key.
 */
export function requireApiKey(keys: readonly string[]): ServerInterceptor {
  const check = apiKeyCheck(keys, 'authorization: Bearer or x-api-key');
  return ({ path }, call) => {
    if (OPEN.test(path)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            try {
              check(keysInHeaders(headersOf(metadata)));
            } catch (error) {
              call.sendStatus(toStatus(error));
              return;
            }
            pass(metadata);
          },
        }),
    });
  };
}

function headersOf(metadata: Metadata): { authorization?: string; 'x-api-key'?: string } {
  const [authorization] = metadata.get('authorization');
  const [apiKey] = metadata.get('x-api-key');
  return {
    ...(authorization === undefined ? {} : { authorization: String(authorization) }),
    ...(apiKey === undefined ? {} : { 'x-api-key': String(apiKey) }),
  };
}
