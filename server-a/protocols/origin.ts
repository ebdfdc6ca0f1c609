import type { IncomingHttpHeaders } from 'node:http';
import { DarkroomError, expectedMessage } from '../../shared/errors.ts';

/**
 * Throws ORIGIN_NOT_ALLOWED for a request that comes from a web page of another host. Browsers let every page open a
 * WebSocket anywhere, and send forms anywhere, and say which page it was (RFC 6455, section 10.2; Fetch, section 3.2).
 * Programs say nothing, or name the host they call. `Sec-Fetch-Site`, which no page can set, holds where a proxy has
 * changed the host (https://www.w3.org/TR/fetch-metadata).
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
