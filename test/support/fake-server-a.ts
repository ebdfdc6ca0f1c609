import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { ERRORS, type ErrorCode } from '../../shared/errors.ts';
import { MEDIA_TYPES } from '../../shared/operations/format.ts';
import { hasEnded, type Task, type TaskOutput } from '../../shared/task.ts';

/** A refusal for the next upload. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly retryAfter?: string;
}

/** A received upload. */
export interface ReceivedUpload {
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/**
 * A fake Server A for tests of HTTP clients: it stores each upload, returns the same bytes as every output, and ends
 * each task `taskMs` after its upload. It can refuse, be slow, cut connections and fail tasks. It never decodes.
 */
export class FakeServerA {
  readonly uploads: ReceivedUpload[] = [];
  /** Answers to the next uploads, in turn, instead of a task; `cut` closes the connection without an answer. */
  readonly refusals: (Refusal | 'cut')[] = [];
  /** The first characters of new tasks' ids. */
  idPrefix = '';
  /** Milliseconds from an upload to the end of its task; Infinity for tasks that end only with {@link endTasks}. */
  taskMs = 0;
  /** How many of the next status requests are cut instead of answered. */
  cuts = 0;
  /** Outputs that fail, by name; the task itself fails when all of them do. */
  failures: Readonly<Record<string, { code: ErrorCode; message: string }>> = {};
  /** The most uploads that were open at once. */
  mostAtOnce = 0;

  readonly #server: Server;
  readonly #tasks = new Map<string, { task: Task; body: Buffer; endsAt: number }>();
  readonly #closed = new AbortController();
  readonly #changes = new EventEmitter();
  #atOnce = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(toError(error)));
    });
  }

  static async start(): Promise<FakeServerA> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeServerA(server);
  }

  get url(): string {
    const address: string | AddressInfo | null = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('Expected a listening server');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Ends all tasks. */
  endTasks(): void {
    for (const entry of this.#tasks.values()) entry.endsAt = 0;
    this.#changes.emit('end');
  }

  /** Resolves when the next status request waits for the end of its task. */
  async waits(): Promise<void> {
    await once(this.#changes, 'wait');
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const [, resource, id = '', name] = pathname.split('/');
    if (request.method === 'POST' && resource === 'upload') return this.#upload(request, response, searchParams);
    const entry = this.#tasks.get(decodeURIComponent(id));
    if (entry === undefined) return problem(response, { code: 'TASK_NOT_FOUND', detail: `No task ${id}` });
    if (resource === 'result') return this.#result(response, id, name);
    if (request.method === 'DELETE') return this.#cancel(response, id);
    if (this.cuts > 0) {
      this.cuts -= 1;
      response.destroy();
      return;
    }
    const wait = Number(/^wait=(\d+)$/.exec(String(request.headers['prefer']))?.[1] ?? 0) * 1000;
    await this.#waitForEnd(Math.min(wait, entry.endsAt - Date.now()));
    json(response, 200, this.#current(id));
  }

  /** Resolves after so many milliseconds, or when {@link endTasks} is called. */
  async #waitForEnd(milliseconds: number): Promise<void> {
    if (milliseconds <= 0) return;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#closed.signal]);
    this.#changes.emit('wait');
    try {
      await Promise.race([sleep(milliseconds, null, { signal }), once(this.#changes, 'end', { signal })]);
    } finally {
      stop.abort();
    }
  }

  async #upload(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Promise<void> {
    this.#atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    const body = await buffer(request);
    await sleep(20);
    this.#atOnce -= 1;
    const refusal = this.refusals.shift();
    if (refusal === 'cut') {
      response.destroy();
      return;
    }
    if (refusal !== undefined) return problem(response, refusal);
    const upload = { query: Object.fromEntries(query), headers: request.headers, body };
    this.uploads.push(upload);
    const id = (this.idPrefix + randomUUID().replaceAll('-', '')).slice(0, 21);
    this.#tasks.set(id, { task: this.#newTask(id, upload), body, endsAt: Date.now() + this.taskMs });
    json(response, 202, { ...this.#current(id), status: 'pending', outputs: [], result: null, error: null });
  }

  /** The task in its final state. */
  #newTask(id: string, { query, headers, body }: ReceivedUpload): Task {
    const input = headers['content-type'] === MEDIA_TYPES.png ? 'png' : 'jpeg';
    const format = query['format'] === 'webp' ? 'webp' : input;
    const names = [
      ...('scale_factor' in query || 'width' in query || 'height' in query ? (['resize'] as const) : []),
      ...('circle' in query ? (['circle'] as const) : []),
      ...(query['classify'] === 'false' ? [] : (['classify'] as const)),
    ];
    const outputs = names.map((name): TaskOutput => {
      const error = this.failures[name];
      if (error !== undefined) return { name, operation: name, status: 'failed', error };
      if (name === 'classify') {
        const labels = [{ index: 281, wnid: 'n02123045', label: 'tabby', probability: 0.761 }];
        return { name, operation: name, status: 'completed', model: 'fake', labels };
      }
      const url = `/result/${id}/${name}`;
      const shape = { format: name === 'circle' ? 'png' : format, width: 4, height: 3, bytes: body.length } as const;
      return { name, operation: name, status: 'completed', ...shape, url };
    });
    const isFailed = outputs.every((output) => output.status === 'failed');
    return {
      task_id: id,
      status: isFailed ? 'failed' : 'completed',
      result: outputs.some((output) => output.url !== undefined) ? `/result/${id}` : null,
      input: {
        filename: null,
        source_url: null,
        format: input,
        width: 8,
        height: 6,
        frames: 1,
        pages: 1,
        bytes: body.length,
        sha256: '0'.repeat(64),
        original: null,
      },
      outputs,
      error: (isFailed ? outputs[0]?.error : null) ?? null,
      attempts: 1,
      created_at: '2026-01-01T00:00:00.000Z',
      started_at: null,
      finished_at: null,
      expires_at: null,
      timings: {},
    };
  }

  #current(id: string): Task {
    const entry = this.#tasks.get(id);
    if (entry === undefined) throw new Error(`Expected a known task, received ${id}`);
    if (Date.now() >= entry.endsAt) return entry.task;
    return { ...entry.task, status: 'processing', outputs: [], result: null, error: null };
  }

  #result(response: ServerResponse, id: string, name: string | undefined): void {
    const entry = this.#tasks.get(id);
    const output = this.#current(id).outputs.find((one) => one.url !== undefined && (name ?? one.name) === one.name);
    if (entry === undefined || output?.format === undefined) {
      problem(response, { code: 'NOT_READY', detail: 'Not yet' });
      return;
    }
    response.writeHead(200, { 'content-type': MEDIA_TYPES[output.format], 'content-length': entry.body.length });
    response.end(entry.body);
  }

  #cancel(response: ServerResponse, id: string): void {
    const entry = this.#tasks.get(id);
    if (entry === undefined || hasEnded(this.#current(id).status)) {
      this.#tasks.delete(id);
      response.writeHead(204).end();
      return;
    }
    const task: Task = { ...entry.task, status: 'canceled', outputs: [], result: null };
    this.#tasks.set(id, { ...entry, task, endsAt: 0 });
    json(response, 200, task);
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function problem(response: ServerResponse, { code, detail, retryAfter }: Refusal): void {
  const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  response.writeHead(ERRORS[code].http, { 'content-type': 'application/problem+json', ...headers });
  response.end(JSON.stringify({ title: code, status: ERRORS[code].http, detail, code }));
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
