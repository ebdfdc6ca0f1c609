import type { Logger } from '../shared/log.ts';
import { closePart } from './closing.ts';
import type { ServerASettings } from './config.ts';
import { Dispatcher } from './dispatch/dispatcher.ts';
import type { Backend } from './dispatch/lanes.ts';
import { createApp } from './protocols/http/app.ts';
import type { Readiness } from './protocols/http/routes/health.ts';
import { listen } from './protocols/http/server.ts';
import type { Protocol } from './protocols/protocol.ts';
import { attachEvents } from './protocols/websocket/events.ts';
import { Relay, startRelay } from './protocols/websocket/relay.ts';
import { Presets } from './tasks/presets.ts';
import { Tasks } from './tasks/tasks.ts';

/** How long jobs under way may take to finish at the end, in milliseconds; the rest stays pending. */
const DRAIN_MS = 20_000;
/** How long requests under way may then take to be answered, in milliseconds. */
const GRACE_MS = 2000;

export interface ServerAOptions {
  readonly backend: Backend;
  /** The secret Server B expects. */
  readonly token: string | undefined;
  readonly log: Logger;
  /** The store cannot be written any more; the process should end, and start again where somebody watches it. */
  readonly onFatal: (error: Error) => void;
}

/** Server A, listening. */
export interface ServerA {
  /** Where HTTP is spoken, such as `http://127.0.0.1:5454`. */
  readonly http: string;
  /** A line for each protocol that is spoken, HTTP first. */
  readonly lines: readonly string[];
  /** Takes no more pictures, finishes what runs for at most 20 s, closes everything in reverse. It never rejects. */
  close(): Promise<void>;
}

/** What every protocol stands on. */
interface Ground {
  readonly tasks: Tasks;
  readonly presets: Presets;
  readonly settings: ServerASettings;
  readonly readiness: () => Readiness;
  readonly log: Logger;
}

/**
 * Opens the data folder, the lanes and the protocols, in that order; a protocol whose port is 0 is off, HTTP excepted.
 * Throws BAD_REQUEST when a preset is not as it should be or the folder has an owner, and the system's error, with code and port, when a port is taken;
 * what was opened before is closed again.
 */
export async function startServerA(settings: ServerASettings, options: ServerAOptions): Promise<ServerA> {
  const { backend, token, log } = options;
  const presets = await Presets.load(settings.presets);
  const tasks = await Tasks.open({ ...settings, onFatal: options.onFatal }, log);
  const protocols: Protocol[] = [];
  let dispatcher: Dispatcher | null = null;
  // Status and results are answered until the last job is done. Protocols do not stand on each other: they go together.
  const close = async (drainMs: number, graceMs: number) => {
    tasks.drain();
    await closePart(log, 'dispatcher', () => dispatcher?.close(drainMs));
    await Promise.all(protocols.map((protocol) => closePart(log, protocol.line, () => protocol.close(graceMs))));
    await closePart(log, 'tasks', () => tasks.close());
  };
  try {
    const counts = tasks.counts();
    if (counts.pending > 0) log.info(counts, 'tasks that were accepted before wait');
    const deadlineMs = settings.jobSeconds * 1000;
    dispatcher = new Dispatcher({ records: tasks.records, backend, token, deadlineMs, log });
    tasks.attach(dispatcher);
    const ground = { tasks, presets, settings, readiness: readinessOf(tasks, dispatcher), log };
    const http = await startHttp(ground);
    protocols.push(http);
    for (const { isOn, start } of BESIDE) if (isOn(settings)) protocols.push(await start(ground));
    const lines = [...protocols.map(({ line }) => line), ...http.sharing];
    return { http: http.address, lines, close: () => close(DRAIN_MS, GRACE_MS) };
  } catch (error) {
    await close(0, 0);
    throw error;
  }
}

function readinessOf(tasks: Tasks, dispatcher: Dispatcher): () => Readiness {
  return () => {
    const { lanes, problem, model } = dispatcher.status;
    return { store: tasks.state, lanes, backend: problem ?? 'up', model: model ?? 'unavailable' };
  };
}

/** What a protocol needs to be spoken beside HTTP. */
interface Beside {
  isOn(settings: ServerASettings): boolean;
  start(ground: Ground): Promise<Protocol>;
}

/** Protocols beside HTTP. A new one is a folder and an entry here. What is off and heavy is not even loaded. */
const BESIDE: readonly Beside[] = [
  {
    isOn: ({ zeromqPort }) => zeromqPort !== 0,
    start: async (ground) => (await import('./protocols/zeromq/index.ts')).startZeromq(ground),
  },
  {
    isOn: ({ grpcPort }) => grpcPort !== 0,
    start: async (ground) => (await import('./protocols/grpc/index.ts')).startGrpc(ground),
  },
  { isOn: (settings) => settings.websocketPort !== 0 && !sharesPort(settings), start: startRelay },
];

/** True where the relay has the HTTP port. */
function sharesPort({ port, websocketPort }: ServerASettings): boolean {
  return websocketPort !== 0 && websocketPort === port;
}

interface Http extends Protocol {
  readonly address: string;
  /** A line for each protocol on the same port that is spoken elsewhere by default. */
  readonly sharing: readonly string[];
}

/** HTTP, and what shares its port. */
async function startHttp(ground: Ground): Promise<Http> {
  const { settings, log } = ground;
  const http = await listen(createApp(ground), { ip: settings.ip, port: settings.port, settings, log });
  const relay = sharesPort(settings) ? new Relay(ground) : null;
  const events = attachEvents(http.server, { ...ground, relay });
  return {
    address: http.address,
    line: `HTTP      ${http.address}`,
    sharing: relay === null ? [] : [`WebSocket ${http.address.replace('http://', '')}`],
    close: async (graceMs) => {
      await Promise.all([events.close(), relay?.close(graceMs)]);
      await http.close(graceMs);
    },
  };
}
