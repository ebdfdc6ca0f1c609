import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerASettings } from '../../server-a/config.ts';
import type { ServerA } from '../../server-a/index.ts';
import { isIPv6Only } from '../../shared/addresses.ts';

const SAMPLE = fileURLToPath(new URL('../../../examples/sample.jpg', import.meta.url));

/** libzmq resolves names to IPv4 unless the client says otherwise; a client then waits for ever. */
const IPV6_ONLY =
  'Note      clients of 127.0.0.1, and of tcp://localhost over ZeroMQ, do not reach IPv6 alone; -i 127.0.0.1,::1 serves both';

/**
 * The text that `darkroom serve` prints when it is ready: all addresses, and a curl line that can be copied and run.
 */
export function greeting(
  { http, lines }: Pick<ServerA, 'http' | 'lines'>,
  backend: string,
  settings: Pick<ServerASettings, 'ip' | 'dataDir' | 'apiKeys'>,
): string {
  return [
    ...lines,
    `Server B  ${backend}`,
    `Data      ${settings.dataDir}`,
    ...(isIPv6Only(settings.ip) ? [IPV6_ONLY] : []),
    '',
    curlLine(http, settings.apiKeys.length > 0),
    '',
  ].join('\n');
}

/** A curl line. It does not show the API key; the shell inserts it. */
function curlLine(http: string, needsKey: boolean): string {
  const key = needsKey ? '-H "Authorization: Bearer $DARKROOM_API_KEY" ' : '';
  return `curl ${key}-F ${fileField(SAMPLE)} -F scale_factor=0.5 '${reachable(http)}/upload?wait=10'`;
}

/**
 * curl's form field for the file, with a relative path when the file is below this folder; quoted for shell and curl.
 */
function fileField(path: string): string {
  const fromHere = relative(process.cwd(), path);
  const shown = fromHere.startsWith('..') ? path : fromHere;
  if (/^[\w./+-]+$/.test(shown)) return `image=@${shown}`;
  const forCurl = shown.replace(/["\\]/g, '\\$&');
  return `'${`image=@"${forCurl}"`.replaceAll("'", "'\\''")}'`;
}

/** An address to connect to. On some systems 0.0.0.0 and :: are not valid destinations. */
function reachable(http: string): string {
  return http.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}
