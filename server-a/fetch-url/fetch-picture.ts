import { pipeline, type Readable } from 'node:stream';
import { debuglog } from 'node:util';
import { Agent, type Dispatcher } from 'undici';
import { DarkroomError, expectedMessage, invalid, systemCode } from '../../shared/errors.ts';
import { keptFilename } from '../intake/filename.ts';
import { guardedConnector } from './connector.ts';
import { emptyBody, FetchedBody, payloadTooLarge } from './fetched-body.ts';
import { PausableTimer } from './pausable-timer.ts';
import { type Resolve, resolveInTurn, resolve as systemResolve } from './resolve.ts';
import { sourceError } from './source-error.ts';

/** Follows fetches: `NODE_DEBUG=darkroom-fetch`. */
const trace = debuglog('darkroom-fetch');

/** What bounds a fetch. */
export interface UrlLimits {
  readonly maxBytes: number;
  /** For everything: name, connections, redirects, head and body. Waiting for the others' names does not count. */
  readonly seconds: number;
  /** Whether hosts that are not public may be reached. */
  readonly allowPrivate: boolean;
}

/** A picture on its way in. */
export interface FetchedPicture {
  /** Fails with SOURCE_ERROR, SOURCE_TIMEOUT, PAYLOAD_TOO_LARGE or the signal's reason; destroy it to stop. */
  readonly body: Readable;
  /** What the server declares, or null. */
  readonly bytes: number | null;
  /** The last part of the URL's path, or null where it ends in a slash. */
  readonly filename: string | null;
}

const MAX_REDIRECTS = 3;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const HEADERS = { 'user-agent': 'Darkroom/0.1', accept: 'image/*, */*;q=0.1', 'accept-encoding': 'identity' };
/** Most characters of a URL; no server that answers takes more. */
const LONGEST_URL = 16_384;

/**
 * Opens the picture at an http or https URL. Connects to public hosts only, unless told otherwise, also after a
 * redirect; sends no cookies and uses no proxy; every connection is gone when the body has ended. Throws BAD_REQUEST
 * for what is no URL, URL_NOT_ALLOWED, SOURCE_ERROR, SOURCE_TIMEOUT, PAYLOAD_TOO_LARGE or the signal's reason.
 */
export async function fetchPicture(
  url: string,
  limits: UrlLimits,
  signal: AbortSignal,
  resolve: Resolve = systemResolve,
): Promise<FetchedPicture> {
  signal.throwIfAborted();
  const target = parseUrl(url);
  const visit = new Visit(limits, signal, resolve);
  try {
    const response = await visit.get(target);
    const bytes = checkResponse(response, limits.maxBytes);
    const body = new FetchedBody(limits.maxBytes);
    response.body.once('error', (error) => body.destroy(bodyError(error, limits.maxBytes, visit.signal)));
    // The body tells its reader of an error itself.
    pipeline(response.body, body, () => visit.end());
    return { body, bytes, filename: filenameOf(target) };
  } catch (error) {
    const told = sourceError(error, visit.signal);
    visit.end();
    throw told;
  }
}

/** The connections of one fetch, and the time they have. */
class Visit {
  readonly #outer: AbortSignal;
  readonly #controller = new AbortController();
  readonly #time: PausableTimer;
  readonly #agent: Agent;
  /**
   * Bytes that wait for the reader: all there can be. undici 7 fails an assertion, and the process with it, where a
   * connection closes while it holds the body back (client-h1.js, Parser.finish).
   */
  readonly #highWaterMark: number;

  constructor({ maxBytes, seconds, allowPrivate }: UrlLimits, signal: AbortSignal, resolve: Resolve) {
    this.#outer = signal;
    signal.addEventListener('abort', this.#giveUp);
    this.#time = new PausableTimer(seconds * 1000, () => this.#controller.abort(timeout(seconds)));
    const connect = guardedConnector({ allowPrivate, resolve: this.#inTurn(resolve), signal: this.signal });
    // The deadline stands for undici's own times.
    this.#agent = new Agent({ connect, headersTimeout: 0, bodyTimeout: 0, maxResponseSize: maxBytes });
    this.#highWaterMark = maxBytes + 1;
  }

  /** Aborts when the time is up or the caller gives up. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The first answer that is no redirect. */
  async get(url: URL, redirects = 0): Promise<Dispatcher.ResponseData> {
    const path = `${url.pathname}${url.search}`;
    const request = {
      origin: url.origin,
      path,
      method: 'GET',
      headers: HEADERS,
      reset: true,
      signal: this.signal,
      highWaterMark: this.#highWaterMark,
    } as const;
    const response = await this.#agent.request(request);
    const { statusCode, headers, body } = response;
    const location = headers['location'];
    if (!REDIRECTS.has(statusCode) || typeof location !== 'string') return response;
    // Its connection goes with it.
    body.on('error', () => {}).destroy();
    if (redirects === MAX_REDIRECTS) throw unexpected(`at most ${MAX_REDIRECTS} redirects`, 'one more');
    if (!URL.canParse(location, url.href)) throw unexpected('a redirect to a URL', 'one to something else');
    const target = checkUrl(new URL(location, url));
    if (trace.enabled) trace('%s redirected to %s', withoutQuery(url), withoutQuery(target));
    return this.get(target, redirects + 1);
  }

  /** Closes what is open. Idempotent. */
  end(): void {
    this.#time.pause();
    this.#outer.removeEventListener('abort', this.#giveUp);
    // Ends a connection that undici still waits for, which its agent would leave to itself.
    this.#controller.abort();
    // Resolves when the sockets are gone; nobody waits for that, and it does not reject.
    void this.#agent.destroy();
  }

  /** A name server that keeps silent costs those who wait behind it time, but not of theirs. */
  #inTurn(resolve: Resolve): Resolve {
    return (hostname) => {
      this.#time.pause();
      return resolveInTurn(hostname, resolve, this.signal, () => this.#time.resume());
    };
  }

  readonly #giveUp = (): void => this.#controller.abort(this.#outer.reason);
}

/** The URL without its query, which may hold a secret. */
function withoutQuery({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

function parseUrl(text: string): URL {
  if (text.length > LONGEST_URL)
    throw invalid(`an http or https URL of at most ${LONGEST_URL} characters`, 'the URL', text);
  // WHATWG URLs have no zones (RFC 6874), and only hosts on this machine's own links need one.
  if (/^https?:\/\/[^/?#]*\[[^\]]*%/i.test(text)) throw notAllowed('a host without a zone', text);
  if (!URL.canParse(text)) throw invalid('an http or https URL', 'the URL', text);
  return checkUrl(new URL(text));
}

function checkUrl(url: URL): URL {
  if (!['http:', 'https:'].includes(url.protocol)) throw notAllowed('http or https', url.protocol);
  // Not shown: it is a secret.
  if (url.username !== '' || url.password !== '') throw notAllowed('no credentials', 'some');
  return url;
}

/** The bytes that an answer declares, when it is one with a picture. */
function checkResponse({ statusCode, headers }: Dispatcher.ResponseData, maxBytes: number): number | null {
  if (statusCode !== 200) throw unexpected('status 200', `${statusCode}`);
  const encoding = `${headers['content-encoding'] ?? 'identity'}`;
  if (!/^(identity)?$/i.test(encoding)) throw unexpected('a body as it is', 'an encoded one');
  const transfer = `${headers['transfer-encoding'] ?? 'chunked'}`;
  if (!/^chunked$/i.test(transfer)) throw unexpected('a body as it is', 'an encoded one');
  if (headers['content-length'] === undefined) return null;
  const bytes = Number(headers['content-length']);
  if (bytes === 0) throw emptyBody();
  if (bytes > maxBytes) throw payloadTooLarge(maxBytes, `${bytes}`);
  return bytes;
}

/** What broke off a body: undici counts it, too. */
function bodyError(error: unknown, maxBytes: number, signal: AbortSignal): Error {
  if (systemCode(error) === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return payloadTooLarge(maxBytes, 'more');
  return sourceError(error, signal);
}

function filenameOf(url: URL): string | null {
  const path = decodeText(url.pathname).replace(/\p{Cc}/gu, '');
  const last = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  return keptFilename(last);
}

/** The text that percent signs stand for (RFC 3986), or as it is where they stand for none. */
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

function unexpected(expected: string, received: string): DarkroomError {
  return new DarkroomError('SOURCE_ERROR', `Expected ${expected} from the URL, received ${received}`);
}

function timeout(seconds: number): DarkroomError {
  return new DarkroomError(
    'SOURCE_TIMEOUT',
    `Expected the whole picture from the URL in ${seconds} seconds, received less`,
  );
}
