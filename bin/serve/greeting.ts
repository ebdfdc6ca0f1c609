import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerASettings } from '../../server-a/config.ts';
import type { ServerA } from '../../server-a/index.ts';

const SAMPLE = fileURLToPath(new URL('../../../examples/sample.jpg', import.meta.url));

/** What `darkroom serve` says when it is ready: where everything is, and a curl line that works as it stands. */
export function greeting(
  { http, lines }: Pick<ServerA, 'http' | 'lines'>,
  backend: string,
  settings: Pick<ServerASettings, 'dataDir' | 'apiKeys'>,
): string {
  return [
    ...lines,
    `Server B  ${backend}`,
    `Data      ${settings.dataDir}`,
    '',
    curlLine(http, settings.apiKeys.length > 0),
    '',
  ].join('\n');
}

/** The key itself stays out of sight: the line takes it from the shell. */
function curlLine(http: string, needsKey: boolean): string {
  const key = needsKey ? '-H "Authorization: Bearer $DARKROOM_API_KEY" ' : '';
  return `curl ${key}-F ${fileField(SAMPLE)} -F scale_factor=0.5 '${reachable(http)}/upload?wait=10'`;
}

/** curl's form field for the file, by its path from here where it lies below; quoted for the shell and for curl. */
function fileField(path: string): string {
  const fromHere = relative(process.cwd(), path);
  const shown = fromHere.startsWith('..') ? path : fromHere;
  if (/^[\w./+-]+$/.test(shown)) return `image=@${shown}`;
  const forCurl = shown.replace(/["\\]/g, '\\$&');
  return `'${`image=@"${forCurl}"`.replaceAll("'", "'\\''")}'`;
}

/** An address to connect to: the one that stands for every interface is no destination everywhere. */
function reachable(http: string): string {
  return http.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}
