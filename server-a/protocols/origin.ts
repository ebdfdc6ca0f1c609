import type { IncomingHttpHeaders } from 'node:http';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';

/**
 * Throws ORIGIN_NOT_ALLOWED for a request from a web page of another host. Browsers let every page open WebSockets and
 * send forms to any host, and name the page's host in `Origin` (RFC 6455, section 10.2; Fetch, section 3.2). Programs
 * send no `Origin`, or the host that they call. No page can set `Sec-Fetch-Site`, so it is trusted where a proxy has
 * changed `Host` (https://www.w3.org/TR/fetch-metadata).
 */
export function checkOrigin(headers: IncomingHttpHeaders): void {
  const { origin, host } = headers;
  if (origin === undefined || headers['sec-fetch-site'] === 'same-origin') return;
  const own = hostname(`http://${host ?? ''}`);
  if (own !== null && hostname(origin) === own) return;
  throw new DarkroomError('ORIGIN_NOT_ALLOWED', expectedMessage("none or the server's own host", 'Origin', origin));
}

function hostname(url: string): string | null {
  return URL.canParse(url) ? new URL(url).hostname || null : null;
}
