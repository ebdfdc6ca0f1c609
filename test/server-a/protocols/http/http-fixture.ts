import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import sharp from 'sharp';
import { z } from 'zod';
import { createApp } from '../../../../server-a/protocols/http/app.ts';
import type { Readiness } from '../../../../server-a/protocols/http/routes/health.ts';
import { type HttpServer, listen } from '../../../../server-a/protocols/http/server.ts';
import { Presets } from '../../../../server-a/tasks/presets.ts';
import type { Tasks } from '../../../../server-a/tasks/tasks.ts';
import { taskSchema } from '../../../../shared/task.ts';
import { pictureNames } from '../../../support/stored-pictures.ts';
import { openTasks, type TestDispatcher } from '../../tasks/support.ts';

const settings = {
  keepHours: 24,
  keepImageHours: 720,
  maxQueued: 100,
  maxListed: 20_000,
  maxSpoolMb: 1000,
  maxUploadMb: 1,
  maxPixels: 100_000_000,
  maxSide: 16_384,
  memoryMb: 512,
  maxDecodedMb: 400,
  maxFrames: 1000,
  maxAnimationSeconds: 10,
  heic: true,
  fetchAtOnce: 4,
  fetchSeconds: 10,
  maxFetchMb: 1,
  allowPrivateUrls: true,
  quarantineHours: 24,
  pathRoot: undefined as string | undefined,
  apiKeys: [] as string[],
  maxConnections: 100,
  requestSeconds: 300,
  /** Path of a file with presets. */
  presets: undefined as string | undefined,
};

export type FixtureSettings = typeof settings;

/** An HTTP server with real tasks in its own folder. */
export interface Fixture {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly tasks: Tasks<TestDispatcher>;
  readonly server: HttpServer;
  /** Log lines so far, parsed. */
  readonly lines: Record<string, unknown>[];
  readiness: Readiness;
  readonly dataDir: string;
  /** Names of all pictures. */
  pictures(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts a server on a free port of `ip`. */
export async function startFixture(changes: Partial<FixtureSettings> = {}, ip = '127.0.0.1'): Promise<Fixture> {
  const dataDir = await mkdtemp(join(tmpdir(), 'darkroom-http-'));
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const options = { ...settings, ...changes };
  const tasks = await openTasks({ ...options, dataDir }, log);
  const app = createApp({
    tasks,
    presets: await Presets.load(options.presets),
    settings: options,
    readiness: () => fixture.readiness,
    log,
  });
  const server = await listen(app, { ips: [ip], ports: [0], settings: options, log });
  const { hostname, port } = new URL(server.address);
  const fixture: Fixture = {
    address: server.address,
    host: hostname.replace(/[[\]]/g, ''),
    port: Number(port),
    tasks,
    server,
    lines,
    readiness: { store: 'open', lanes: 4, backend: 'up', model: 'mobilenetv2-12-qdq' },
    dataDir,
    pictures: () => pictureNames(dataDir),
    stop: async () => {
      await server.close(0);
      await tasks.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  return fixture;
}

/** Resolves when there is no picture and no task is pending; rejects if that does not happen in time. */
export async function expectNothingLeft({ pictures, tasks }: Pick<Fixture, 'pictures' | 'tasks'>): Promise<void> {
  for (let look = 0; look < 200; look += 1) {
    const { pending, processing, spool_bytes: bytes } = tasks.counts();
    if ((await pictures()).length === 0 && pending + processing + bytes === 0) return;
    await sleep(10);
  }
  throw new Error(`Expected nothing left, found ${await pictures()} and ${JSON.stringify(tasks.counts())}`);
}

/** A JPEG of noise, which is large because noise compresses badly. */
export function jpeg(width = 64, height = 48): Promise<Buffer> {
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 40 };
  return sharp({ create: { width, height, channels: 3, background: '#000', noise } })
    .jpeg()
    .toBuffer();
}

/** The address of a server. */
export type Place = Pick<Fixture, 'host' | 'port'>;

/** A part of a form: a text, or a file with its name. */
export type Part = readonly [name: string, value: string | Uint8Array, filename?: string];

const BOUNDARY = 'boundary-of-tests';
export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

/** The bytes of a multipart form, parts in the order given. */
export function formBytes(parts: readonly Part[]): Buffer {
  const chunks = parts.flatMap(([name, value, filename]) => {
    const file = filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: image/jpeg`;
    const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
    return [Buffer.from(head), Buffer.from(value), Buffer.from('\r\n')];
  });
  return Buffer.concat([...chunks, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

/** An answer with its whole body. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  /** Sent unchanged. */
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
}

/** One request on its own connection; the path is sent unchanged. */
export function ask(
  { host, port }: Place,
  { method = 'GET', path, headers = {}, body = Buffer.alloc(0) }: Ask,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunked = 'Transfer-Encoding' in headers;
    const length = body.length > 0 && !chunked ? { 'Content-Length': String(body.length) } : {};
    const outgoing = request({ host, port, method, path, headers: { ...length, ...headers }, agent: false });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      buffer(response).then(
        (bytes) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes }),
        reject,
      );
    });
    outgoing.end(body);
  });
}

/** Posts a form to /upload. */
export function postForm(place: Place, parts: readonly Part[], headers: Record<string, string> = {}) {
  const typed = { 'Content-Type': FORM_TYPE, ...headers };
  return ask(place, { method: 'POST', path: '/upload', headers: typed, body: formBytes(parts) });
}

/** Posts a raw picture to /upload. */
export function postRaw(place: Place, query: string, body: Uint8Array, type = 'image/jpeg') {
  return ask(place, { method: 'POST', path: `/upload${query}`, headers: { 'Content-Type': type }, body });
}

/** The task in an answer. */
export function taskOf({ body }: Answer) {
  return taskSchema.parse(JSON.parse(body.toString()));
}

const problemSchema = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string().min(1),
  status: z.int(),
  detail: z.string().min(1),
  code: z.string(),
  task_id: z.string().optional(),
});

/** The problem in an answer, checked for its shape and against the answer's status and media type. */
export function problemOf({ status, headers, body }: Answer) {
  if (headers['content-type'] !== 'application/problem+json') throw new Error(`not a problem: ${status} ${body}`);
  const problem = problemSchema.parse(JSON.parse(body.toString()));
  if (problem.status !== status) throw new Error(`status ${status}, problem ${problem.status}`);
  return problem;
}
