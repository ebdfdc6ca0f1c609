import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Dispatcher, FormData } from 'undici';
// Only the parts that are used: all of undici takes 0.15 s to load, in each client command.
import request from 'undici/lib/api/api-request.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import { z } from 'zod';
import { DarkroomError, isErrorCode, systemCode } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json.ts';
import type { ClientSettings } from './config.ts';
import { Backoff, parseRetryAfter } from './retry.ts';

/** Statuses that mean "not now"; with Retry-After the same request is sent again. */
const NOT_NOW = new Set([429, 503, 507]);
/** Error codes of a connection that cannot be opened or that breaks; undici's own begin with UND_ERR. */
const NETWORK_FAILURE = /^(UND_ERR_.*|ECONN.*|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;

/** One request. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The file sent as the body. */
  readonly file?: string;
  /** The form sent as the body. */
  readonly form?: FormData;
  /** Send it again when the connection fails, too. Only for an idempotent request. */
  readonly persistent?: boolean;
}

type Attempt =
  | { readonly response: Dispatcher.ResponseData }
  /** `retryAfterMs` is null when another attempt would fail, too. */
  | { readonly error: unknown; readonly retryAfterMs: number | null };

/** The members of RFC 9457 problem details that are used here. */
const problemSchema = z.object({ code: z.string().refine(isErrorCode), detail: z.string() });

/** Sends requests to one Server A, and sends them again after an answer that means "not now". */
export class Transport {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #patienceMs: number;
  readonly #signal: AbortSignal;
  readonly #agent = new Agent();

  /** Every request ends when `signal` aborts. */
  constructor(settings: ClientSettings, signal: AbortSignal) {
    this.#base = settings.server.replace(/\/+$/, '');
    this.#headers = settings.apiKey === undefined ? {} : { authorization: `Bearer ${settings.apiKey}` };
    this.#patienceMs = settings.patience * 1000;
    this.#signal = signal;
  }

  /**
   * The answer, with a status below 400 and an unread body. Throws a DarkroomError with the server's own code and detail,
   * or BACKEND_UNAVAILABLE when there is no server.
   */
  async send(call: Call): Promise<Dispatcher.ResponseData> {
    const backoff = new Backoff(this.#patienceMs);
    for (;;) {
      const attempt = await this.#attempt(call);
      if ('response' in attempt) return attempt.response;
      const { error, retryAfterMs } = attempt;
      if (retryAfterMs === null || !(await backoff.wait(retryAfterMs, this.#signal))) throw error;
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #attempt(call: Call): Promise<Attempt> {
    const payload = call.file === undefined ? null : await openPayload(call.file);
    try {
      const { origin, pathname, search } = new URL(this.#base + call.path);
      const response = await request.call(this.#agent, {
        origin,
        path: pathname + search,
        method: call.method,
        headers: { ...this.#headers, ...call.headers, ...payload?.headers },
        body: payload?.body ?? call.form ?? null,
        signal: this.#signal,
      });
      if (response.statusCode < 400) return { response };
      const { 'retry-after': header } = response.headers;
      const askedMs = typeof header === 'string' ? parseRetryAfter(header, Date.now()) : null;
      return { error: await readProblem(response), retryAfterMs: NOT_NOW.has(response.statusCode) ? askedMs : null };
    } catch (error) {
      const code = systemCode(error);
      if (code === undefined || !NETWORK_FAILURE.test(code)) throw error;
      const message = `Darkroom at ${this.#base} does not answer: ${code}`;
      const unavailable = new DarkroomError('BACKEND_UNAVAILABLE', message, { cause: error });
      return { error: unavailable, retryAfterMs: call.persistent === true ? 0 : null };
    }
  }
}

/** The file as a stream of known length. Reading the body to its end or destroying it closes the file. */
async function openPayload(file: string): Promise<{ headers: { 'content-length': string }; body: Readable | '' }> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const headers = { 'content-length': String(size) };
    if (size > 0) return { headers, body: handle.createReadStream({ end: size - 1 }) };
    await handle.close();
    return { headers, body: '' };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The answer's JSON; undefined for any other body, such as a proxy's page. */
export async function readJson(response: Dispatcher.ResponseData): Promise<unknown> {
  return parseJson(await response.body.text());
}

async function readProblem(response: Dispatcher.ResponseData): Promise<DarkroomError> {
  const text = await response.body.text();
  const problem = problemSchema.safeParse(parseJson(text));
  if (problem.success) return new DarkroomError(problem.data.code, problem.data.detail);
  const received = `${response.statusCode} ${text.slice(0, 100).replace(/\s+/g, ' ')}`.trim();
  return new DarkroomError('SOURCE_ERROR', `Expected an answer of Darkroom, received ${received}`);
}
