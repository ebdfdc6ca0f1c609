import { basename, extname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { create } from 'content-disposition';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { DarkroomError } from '../../shared/errors.ts';
import { MEDIA_TYPES } from '../../shared/operations/format.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import { outputSpecsSchema } from '../../shared/operations/outputs.ts';
import { hasEnded, taskSchema } from '../../shared/task.ts';
import { saveFile } from '../save-file.ts';
import type { ClientSettings } from './config.ts';
import { formatOfExtension } from './formats.ts';
import { readJson, Transport } from './transport.ts';

/** Seconds for which one status request stays open; the server allows at most 60. */
const WAIT_SECONDS = 30;
/** The fewest milliseconds between two status requests, for a server that does not wait. */
const LEAST_PAUSE_MS = 200;

/** The task as the server sends it; fields of a newer server are kept. */
const taskAnswerSchema = taskSchema.loose();
export type TaskAnswer = z.infer<typeof taskAnswerSchema>;
const presetsSchema = z.record(z.string(), outputSpecsSchema);
const snippetAnswerSchema = z.object({ task: taskAnswerSchema.nullable() });

/** A client of Server A's HTTP API. Throws DarkroomError with the server's own code and detail. */
export class Client {
  readonly #transport: Transport;
  readonly #signal: AbortSignal;

  /** All requests end when `signal` aborts. */
  constructor(settings: ClientSettings, signal: AbortSignal) {
    this.#transport = new Transport(settings, signal);
    this.#signal = signal;
  }

  /** Sends a picture as the raw body, with `query`; resolves with the task, which is usually still pending. */
  async upload(file: string, query: URLSearchParams): Promise<TaskAnswer> {
    const format = formatOfExtension(extname(file));
    const type = format === undefined ? 'application/octet-stream' : MEDIA_TYPES[format];
    const headers = { 'content-type': type, 'content-disposition': create(basename(file)) };
    return readTask(await this.#transport.send({ method: 'POST', path: `/upload?${query}`, headers, file }));
  }

  /** The server's lists of outputs, by their names. */
  async presets(): Promise<Readonly<Record<string, readonly OutputSpec[]>>> {
    return readAnswer(presetsSchema, await this.#transport.send({ method: 'GET', path: '/presets' }));
  }

  /** The task as it is now. */
  async status(id: string): Promise<TaskAnswer> {
    return readTask(await this.#transport.send({ method: 'GET', path: statusPath(id) }));
  }

  /** Waits for the task's end, without a limit of time. */
  async waitForEnd(id: string): Promise<TaskAnswer> {
    const headers = { prefer: `wait=${WAIT_SECONDS}` };
    for (;;) {
      const asked = performance.now();
      const call = { method: 'GET', path: statusPath(id), headers, persistent: true } as const;
      const task = await readTask(await this.#transport.send(call));
      if (hasEnded(task.status)) return task;
      const pause = LEAST_PAUSE_MS - (performance.now() - asked);
      if (pause > 0) await sleep(pause, undefined, { signal: this.#signal });
    }
  }

  /**
   * Stores a picture as the newest one of a snippet; retries after a lost connection. Resolves with the picture's task.
   */
  async putSnippet(name: number, picture: Blob, filename: string): Promise<TaskAnswer | null> {
    const { FormData } = await import('undici');
    const form = new FormData();
    form.append('image', picture, filename);
    const call = { method: 'PUT', path: `/snippets/${name}/`, form, persistent: true } as const;
    const { task } = await readAnswer(snippetAnswerSchema, await this.#transport.send(call));
    return task;
  }

  /** Saves an output to the file `target`; without a name the first picture. */
  async download(id: string, name: string | undefined, target: string): Promise<void> {
    const path = `/result/${encodeURIComponent(id)}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
    const response = await this.#transport.send({ method: 'GET', path, persistent: true });
    await saveFile(target, response.body, this.#signal);
  }

  /** Cancels a task and resolves with it, or removes a task that has ended and resolves with null. */
  async cancel(id: string): Promise<TaskAnswer | null> {
    const response = await this.#transport.send({ method: 'DELETE', path: statusPath(id) });
    if (response.statusCode !== 204) return readTask(response);
    await response.body.dump();
    return null;
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#transport.close();
  }
}

function statusPath(id: string): string {
  return `/status/${encodeURIComponent(id)}`;
}

function readTask(response: Dispatcher.ResponseData): Promise<TaskAnswer> {
  return readAnswer(taskAnswerSchema, response);
}

async function readAnswer<Schema extends z.ZodType>(
  schema: Schema,
  response: Dispatcher.ResponseData,
): Promise<z.infer<Schema>> {
  const answer = schema.safeParse(await readJson(response));
  if (answer.success) return answer.data;
  const reason = z.prettifyError(answer.error).replace(/\s+/g, ' ');
  throw new DarkroomError('SOURCE_ERROR', `Expected a task record of Darkroom, received something else: ${reason}`);
}
