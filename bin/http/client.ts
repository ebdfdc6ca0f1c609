import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { nanoid } from 'nanoid';
import { type Dispatcher, FormData } from 'undici';
import { z } from 'zod';
import { DarkroomError } from '../../shared/errors.ts';
import { MEDIA_TYPES } from '../../shared/operations/format.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import { outputSpecsSchema } from '../../shared/operations/outputs.ts';
import { hasEnded, taskSchema } from '../../shared/task.ts';
import type { ClientSettings } from './config.ts';
import { formatOfExtension } from './formats.ts';
import { readJson, Transport } from './transport.ts';

/** Seconds one status request stays open at most; the server allows 60. */
const WAIT_SECONDS = 30;
/** Least milliseconds between two status requests, for a server that does not wait. */
const LEAST_PAUSE_MS = 200;

/** The task as the server tells it; what a newer server adds is kept. */
const taskAnswerSchema = taskSchema.loose();
export type TaskAnswer = z.infer<typeof taskAnswerSchema>;
const presetsSchema = z.record(z.string(), outputSpecsSchema);
const snippetAnswerSchema = z.object({ task: taskAnswerSchema.nullable() });

/** Server A's HTTP API, seen from outside. Failures are thrown as DarkroomError with the server's own code and detail. */
export class Client {
  readonly #transport: Transport;
  readonly #signal: AbortSignal;

  /** Whatever is under way ends when `signal` aborts. */
  constructor(settings: ClientSettings, signal: AbortSignal) {
    this.#transport = new Transport(settings, signal);
    this.#signal = signal;
  }

  /** Sends a picture as the raw body, the operations as the query; gives the task, most likely still pending. */
  async upload(file: string, query: URLSearchParams): Promise<TaskAnswer> {
    const format = formatOfExtension(extname(file));
    const type = format === undefined ? 'application/octet-stream' : MEDIA_TYPES[format];
    const headers = { 'content-type': type };
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

  /** The task when it has ended, however long that takes. */
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

  /** Makes a picture the newest one of a snippet; sent again until the server has it. Gives the picture's task. */
  async putSnippet(name: number, picture: Blob, filename: string): Promise<TaskAnswer | null> {
    const form = new FormData();
    form.append('image', picture, filename);
    const call = { method: 'PUT', path: `/snippets/${name}/`, form, persistent: true } as const;
    const { task } = await readAnswer(snippetAnswerSchema, await this.#transport.send(call));
    return task;
  }

  /** Writes an output to `target`, by way of a temporary file beside it. Without a name: the first picture. */
  async download(id: string, name: string | undefined, target: string): Promise<void> {
    const path = `/result/${encodeURIComponent(id)}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
    const response = await this.#transport.send({ method: 'GET', path, persistent: true });
    const temporary = join(dirname(target), `.${basename(target)}.${nanoid(8)}.part`);
    try {
      await pipeline(response.body, createWriteStream(temporary, { flags: 'wx' }), { signal: this.#signal });
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Cancels a task, or forgets one that has ended: then null. */
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
