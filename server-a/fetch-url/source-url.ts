import { DarkroomError, expectedMessage, invalid } from '../../shared/errors.ts';

/** The greatest number of characters of a URL; servers do not accept longer ones. */
const MAX_URL_CHARACTERS = 16_384;

/** Reads a client's URL. Throws BAD_REQUEST when it is not a URL, and like {@link checkUrl}. */
export function parseUrl(text: string): URL {
  if (text.length > MAX_URL_CHARACTERS) {
    throw invalid(`an http or https URL of at most ${MAX_URL_CHARACTERS} characters`, 'the URL', text);
  }
  // WHATWG URLs have no zones (RFC 6874). Only link-local hosts need a zone.
  if (/^https?:\/\/[^/?#]*\[[^\]]*%/i.test(text)) throw notAllowed('a host without a zone', text);
  if (!URL.canParse(text)) throw invalid('an http or https URL', 'the URL', text);
  return checkUrl(new URL(text));
}

/** Returns the URL. Throws URL_NOT_ALLOWED when it is not http or https or has credentials. */
export function checkUrl(url: URL): URL {
  if (!['http:', 'https:'].includes(url.protocol)) throw notAllowed('http or https', url.protocol);
  // The message does not repeat the credentials.
  if (url.username !== '' || url.password !== '') throw notAllowed('no credentials', 'some');
  return url;
}

/** The last part of the URL's path as a file name; null when the path ends with a slash. */
export function filenameOf(url: URL): string | null {
  const path = decodeText(url.pathname).replace(/\p{Cc}/gu, '');
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1) || null;
}

/** The URL without its query, which may contain a secret. */
export function withoutQuery({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

/** Decodes percent-encoding (RFC 3986); returns the text unchanged when the encoding is invalid. */
function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function notAllowed(expected: string, received: string): DarkroomError {
  return new DarkroomError('URL_NOT_ALLOWED', expectedMessage(expected, 'the URL', received));
}
