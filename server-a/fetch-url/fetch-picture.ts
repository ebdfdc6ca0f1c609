import { pipeline, type Readable } from 'node:stream';
import { debuglog } from 'node:util';
import type { Dispatcher } from 'undici';
import sendRequest from 'undici/lib/api/api-request.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import { SYSTEM_CLOCK } from '../../shared/clock.ts';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { Watchdog } from '../../shared/watchdog.ts';
import { guardedConnector } from './connector.ts';
import { contentDecoders, decodeAll } from './content-decoder.ts';
import { emptyBody, FetchedBody, payloadTooLarge } from './fetched-body.ts';
import { type Resolve, resolveInTurn, resolve as systemResolve } from './resolve.ts';
import { sourceError, unexpectedSource as unexpected } from './source-error.ts';
import { checkUrl, filenameOf, parseUrl, withoutQuery } from './source-url.ts';

/** Traces fetches: `NODE_DEBUG=darkroom-fetch`. */
const trace = debuglog('darkroom-fetch');

/** The limits of a fetch. */
export interface UrlLimits {
  readonly maxBytes: number;
  /**
   * Seconds for lookup, connections, redirects, headers and body together. Waiting for other lookups does not count.
   */
  readonly seconds: number;
  /** True when hosts that are not public are allowed. */
  readonly allowPrivate: boolean;
}

/** A picture that is being fetched. */
export interface FetchedPicture {
  /** Fails with SOURCE_ERROR, SOURCE_TIMEOUT, PAYLOAD_TOO_LARGE or the signal's reason; destroy it to stop. */
  readonly body: Readable;
  /** The length that the server declares; null when it declares none, or that of an encoded body. */
  readonly bytes: number | null;
  /** The last part of the URL's path; null when the path ends with a slash. */
  readonly filename: string | null;
}

const MAX_REDIRECTS = 3;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const HEADERS = { 'user-agent': 'Darkroom/0.1', accept: 'image/*, */*;q=0.1', 'accept-encoding': 'identity' };

/**
 * Opens the picture at an http or https URL. Without `allowPrivate` it connects only to public hosts, also after a
 * redirect. It sends no cookies and uses no proxy. All connections close when the body ends. Throws BAD_REQUEST for an
 * invalid URL, URL_NOT_ALLOWED, SOURCE_ERROR, SOURCE_TIMEOUT, PAYLOAD_TOO_LARGE or the signal's reason.
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
    const declared = checkResponse(response, limits.maxBytes);
    const decoders = decodersOf(response);
    const body = new FetchedBody(limits.maxBytes);
    response.body.once('error', (error) => body.destroy(bodyError(error, limits.maxBytes, visit.signal)));
    // The body passes an error on to its reader.
    pipeline(decodeAll(response.body, decoders), body, () => visit.end());
    return { body, bytes: decoders.length === 0 ? declared : null, filename: filenameOf(target) };
  } catch (error) {
    // Before the end, which aborts the signal.
    const reason = sourceError(error, visit.signal);
    visit.end();
    throw reason;
  }
}

/** The connections and the deadline of one fetch. */
class Visit {
  /** Aborts when the time is up or the caller's signal aborts. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #deadline: Watchdog;
  readonly #agent: Agent;
  /**
   * The high-water mark of the body: above its greatest size, so that undici never pauses a connection. undici 7 fails
   * an assertion, which ends the process, when a paused connection closes (client-h1.js, Parser.finish).
   */
  readonly #highWaterMark: number;

  constructor({ maxBytes, seconds, allowPrivate }: UrlLimits, signal: AbortSignal, resolve: Resolve) {
    this.signal = AbortSignal.any([signal, this.#controller.signal]);
    this.#deadline = new Watchdog(SYSTEM_CLOCK, seconds * 1000, () => this.#controller.abort(timeout(seconds)));
    const connect = guardedConnector({ allowPrivate, resolve: this.#inTurn(resolve), signal: this.signal });
    // The deadline replaces undici's own timeouts.
    this.#agent = new Agent({ connect, headersTimeout: 0, bodyTimeout: 0, maxResponseSize: maxBytes });
    this.#highWaterMark = maxBytes + 1;
  }

  /** Follows redirects; resolves with the first response that is not a redirect. */
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
    const response = await sendRequest.call(this.#agent, request);
    const { statusCode, headers, body } = response;
    const location = headers['location'];
    if (!REDIRECTS.has(statusCode) || typeof location !== 'string') return response;
    // This closes its connection, too.
    body.on('error', () => {}).destroy();
    if (redirects === MAX_REDIRECTS) throw unexpected(`at most ${MAX_REDIRECTS} redirects`, 'one more');
    if (!URL.canParse(location, url.href)) throw unexpected('a redirect to a URL', 'one to something else');
    const target = checkUrl(new URL(location, url));
    if (trace.enabled) trace('%s redirected to %s', withoutQuery(url), withoutQuery(target));
    return this.get(target, redirects + 1);
  }

  /** Closes what is open. Idempotent. */
  end(): void {
    this.#deadline.stop();
    // Ends a connection that is still being opened; the agent alone would not.
    this.#controller.abort();
    // Resolves when the sockets are closed. Not awaited: no caller needs it, and it does not reject.
    void this.#agent.destroy();
  }

  /** Stops the deadline while other lookups run, so that a silent name server costs only its own fetch time. */
  #inTurn(resolve: Resolve): Resolve {
    return (hostname) => {
      this.#deadline.pause();
      return resolveInTurn(hostname, resolve, this.signal, () => this.#deadline.resume());
    };
  }
}

/**
 * The declared length of a response, or null. Throws SOURCE_ERROR when it is not a plain 200, and PAYLOAD_TOO_LARGE.
 */
function checkResponse({ statusCode, headers }: Dispatcher.ResponseData, maxBytes: number): number | null {
  if (statusCode !== 200) throw unexpected('status 200', `${statusCode}`);
  if (headers['content-length'] === undefined) return null;
  const bytes = Number(headers['content-length']);
  if (bytes === 0) throw emptyBody();
  if (bytes > maxBytes) throw payloadTooLarge(maxBytes, `${bytes}`);
  return bytes;
}

/**
 * The decoders of a body that is encoded although that was not asked for. Throws SOURCE_ERROR for an encoding that is
 * not known, and for one of the transfer, which proxies do not preserve.
 */
function decodersOf({ headers }: Dispatcher.ResponseData) {
  const transfer = `${headers['transfer-encoding'] ?? 'chunked'}`;
  if (!/^chunked$/i.test(transfer)) throw unexpected('a body as it is', 'one with a transfer encoding');
  return contentDecoders(`${headers['content-encoding'] ?? ''}`);
}

/** The error for a body that failed. undici has its own error for too many bytes. */
function bodyError(error: unknown, maxBytes: number, signal: AbortSignal): Error {
  if (systemCode(error) === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return payloadTooLarge(maxBytes, 'more');
  return sourceError(error, signal);
}

function timeout(seconds: number): DarkroomError {
  return new DarkroomError(
    'SOURCE_TIMEOUT',
    `Expected the whole picture from the URL in ${seconds} seconds, received less`,
  );
}
