import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Request, Subscriber } from 'zeromq';
import { type ServerASettings, serverASettings } from '../../../../server-a/config.ts';
import { Dispatcher } from '../../../../server-a/dispatch/dispatcher.ts';
import type { Backend } from '../../../../server-a/dispatch/lanes.ts';
import type { Protocol } from '../../../../server-a/protocols/protocol.ts';
import { startZeromq } from '../../../../server-a/protocols/zeromq/index.ts';
import { Presets } from '../../../../server-a/tasks/presets.ts';
import { Tasks } from '../../../../server-a/tasks/tasks.ts';
import { SERVER_B_PREFIX, serverBSettings } from '../../../../server-b/config.ts';
import { Supervisor } from '../../../../server-b/supervisor.ts';
import { resolveSettings } from '../../../../shared/config.ts';
import { freePort } from '../../../support/free-port.ts';
import { writeTinyModel } from '../../../support/tiny-model.ts';
import { silent } from '../../tasks/support.ts';

const TOKEN = 'token of the tests';
/** The longest time for an answer, in milliseconds: it is only there for a hang. */
const ANSWER_MS = 55_000;
/** A Server B that never connects, so that tasks stay pending. */
const NO_SERVER_B: Backend = { address: null, onChange: () => undefined };

/** Real tasks behind real ZeroMQ sockets. */
export interface Fixture {
  readonly settings: ServerASettings;
  readonly tasks: Tasks;
  /** The endpoint for requests, and the endpoint for published classes. */
  readonly address: string;
  readonly pubAddress: string;
  /** Log lines so far, parsed. */
  readonly lines: Record<string, unknown>[];
  readonly protocol: Protocol;
  /** Closes everything and removes the data folder, unless `keep` is given. */
  stop(keep?: 'keep'): Promise<void>;
}

/** Starts tasks and ZeroMQ on free ports; the data folder is a new one unless `changes` names it. */
export async function startFixture(changes: Partial<ServerASettings> = {}, backend = NO_SERVER_B): Promise<Fixture> {
  const dataDir = changes.dataDir ?? (await mkdtemp(join(tmpdir(), 'darkroom-zeromq-')));
  const settings: ServerASettings = {
    ...serverASettings.parse({}),
    zeromqPort: await freePort(),
    zeromqPubPort: await freePort(),
    maxUploadMb: 4,
    allowPrivateUrls: true,
    fetchSeconds: 2,
    ...changes,
    dataDir,
  };
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const tasks = await Tasks.open(
    settings,
    log,
    (records) => new Dispatcher({ records, backend, token: TOKEN, deadlineMs: 30_000, log: silent }),
  );
  const closeTasks = async () => {
    await tasks.dispatcher.close(0);
    await tasks.close();
  };
  const presets = await Presets.load(settings.presets);
  const protocol = await startZeromq({ tasks, presets, settings, log }).catch(async (error: unknown) => {
    await closeTasks();
    throw error;
  });
  const [ip = ''] = settings.ip;
  const host = ip.includes(':') ? `[${ip}]` : ip;
  return {
    settings,
    tasks,
    address: `tcp://${host}:${settings.zeromqPort}`,
    pubAddress: `tcp://${host}:${settings.zeromqPubPort}`,
    lines,
    protocol,
    stop: async (keep) => {
      tasks.drain();
      await protocol.close(0);
      await closeTasks();
      if (keep === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A real Server B with the tiny model: a red picture is "red". */
export async function startServerB(): Promise<{ backend: Backend; stop: () => Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'darkroom-zeromq-b-'));
  const model = await writeTinyModel(dataDir);
  const settings = resolveSettings(serverBSettings, SERVER_B_PREFIX, { port: 0, threads: 1, dataDir, model }, {});
  const supervisor = new Supervisor(
    { ...settings, token: TOKEN, logLevel: 'silent' },
    { environment: process.env, log: silent },
  );
  await supervisor.start();
  return {
    backend: supervisor,
    stop: async () => {
      await supervisor.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** The answer to one REQ client's request; an object is sent as JSON, anything else unchanged. */
export async function ask(address: string, request: object | string | Buffer): Promise<Record<string, unknown>> {
  const socket = openRequest(address);
  try {
    await socket.send(typeof request === 'string' || Buffer.isBuffer(request) ? request : JSON.stringify(request));
    return await answerOf(socket);
  } finally {
    socket.close();
  }
}

/** A REQ socket. It waits as long as for an answer. */
export function openRequest(address: string): Request {
  const socket = new Request({ linger: 0, receiveTimeout: ANSWER_MS, ipv6: address.includes('[') });
  socket.connect(address);
  return socket;
}

export async function answerOf(socket: { receive(): Promise<Buffer[]> }): Promise<Record<string, unknown>> {
  const frames = await socket.receive();
  return JSON.parse(String(frames.at(-1)));
}

/** A SUB socket for all messages. It waits as long as for an answer. */
export function subscribe(address: string): Subscriber {
  const socket = new Subscriber({ linger: 0, receiveTimeout: ANSWER_MS, ipv6: address.includes('[') });
  socket.subscribe();
  socket.connect(address);
  return socket;
}

/** The next `count` messages; each must be one frame of JSON. */
export async function messages(subscriber: Subscriber, count: number): Promise<Record<string, unknown>[]> {
  const got: Record<string, unknown>[] = [];
  while (got.length < count) {
    const frames = await subscriber.receive();
    if (frames.length !== 1) throw new Error(`Expected one frame, received ${frames.length}`);
    got.push(JSON.parse(String(frames[0])));
  }
  return got;
}

/** True when no more messages are published for a while. */
export async function isSilent(subscriber: Subscriber, milliseconds = 400): Promise<boolean> {
  subscriber.receiveTimeout = milliseconds;
  return subscriber.receive().then(
    () => false,
    () => true,
  );
}
