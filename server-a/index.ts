import type { Logger } from '../shared/log.ts';
import { closePart } from './closing.ts';
import { type ServerASettings, sharesPort } from './config.ts';
import { COMMANDS } from './control/commands.ts';
import { type ControlServer, startControl } from './control/server.ts';
import { Dispatcher } from './dispatch/dispatcher.ts';
import type { Backend, OnDemandBackend } from './dispatch/lanes.ts';
import type { ProtocolContext } from './http-port.ts';
import type { Readiness } from './protocols/http/routes/health.ts';
import type { Protocol } from './protocols/protocol.ts';
import { Presets } from './tasks/presets.ts';
import { Tasks } from './tasks/tasks.ts';

/** Milliseconds for running jobs to finish at shutdown; the others stay pending. */
const DRAIN_MS = 20_000;
/** Milliseconds for open requests to be answered after that. */
const GRACE_MS = 2000;

export interface ServerAOptions {
  readonly backend: Backend;
  /** A second Server B, which runs only while there are suspects; undefined when there is none. */
  readonly suspectBackend?: OnDemandBackend | undefined;
  /** The secret that Server B expects. */
  readonly token: string | undefined;
  readonly log: Logger;
  /** Move every file of a data folder that would be refused to lost+found, and start with an empty store. */
  readonly newStore?: boolean;
  /** Called once when the store cannot be written any more, so that the process ends and its supervisor restarts it. */
  readonly onFatal: (error: Error) => void;
}

/** Server A, listening. */
export interface ServerA {
  /** The first address of HTTP, such as `http://127.0.0.1:5454`. */
  readonly http: string;
  /** A line for each address of each protocol, HTTP first. */
  readonly lines: readonly string[];
  /** Refuses new tasks, lets running jobs finish for at most 20 s, then closes everything. Never rejects. */
  close(): Promise<void>;
}

/**
 * Opens the data folder, the lanes and the protocols, in that order. A protocol with port 0 is off, except HTTP. Throws
 * BAD_REQUEST when a preset is invalid, another process has the folder, or accepted pictures may be lost, and the system's error, with code and port,
 * when a port is taken; closes what it opened then.
 */
export async function startServerA(settings: ServerASettings, options: ServerAOptions): Promise<ServerA> {
  const { backend, suspectBackend, token, log } = options;
  const presets = await Presets.load(settings.presets);
  const deadlineMs = settings.jobSeconds * 1000;
  // Loads while the store's thread starts and the disk works.
  const httpPort = import('./http-port.ts');
  const tasks = await Tasks.open(
    { ...settings, newStore: options.newStore, onFatal: options.onFatal },
    log,
    (records) => new Dispatcher({ records, backend, suspectBackend, token, deadlineMs, log }),
  );
  const protocols: Protocol[] = [];
  let control: ControlServer | null = null;
  // Protocols answer status and results until the last job has ended. They close together: none uses another.
  const close = async (drainMs: number, graceMs: number) => {
    tasks.drain();
    await closePart(log, 'control socket', () => control?.close());
    await closePart(log, 'dispatcher', () => tasks.dispatcher.close(drainMs));
    await Promise.all(
      protocols.map((protocol) => closePart(log, protocol.lines[0] ?? '', () => protocol.close(graceMs))),
    );
    await closePart(log, 'tasks', () => tasks.close());
  };
  try {
    const counts = tasks.counts();
    if (counts.pending > 0) log.info(counts, 'tasks of an earlier run are pending');
    control = await openControl(settings.dataDir, tasks, log);
    const context = { tasks, presets, settings, readiness: () => readinessOf(tasks), log };
    const http = await (await httpPort).startHttp(context);
    protocols.push(http);
    for (const { isOn, start } of optionalProtocols) if (isOn(settings)) protocols.push(await start(context));
    const lines = [...protocols.flatMap((protocol) => protocol.lines), ...http.sharing];
    return { http: http.address, lines, close: () => close(DRAIN_MS, GRACE_MS) };
  } catch (error) {
    await close(0, 0);
    throw error;
  }
}

/** The control socket; null, with a line in the log, where the system cannot make one. */
async function openControl(dataDir: string, tasks: Tasks, log: Logger): Promise<ControlServer | null> {
  try {
    return await startControl(dataDir, COMMANDS, { tasks, log });
  } catch (error) {
    log.error({ err: error }, 'the control socket cannot be opened, so that darkroom backup does not work');
    return null;
  }
}

function readinessOf(tasks: Tasks<Dispatcher>): Readiness {
  const { lanes, problem, model } = tasks.dispatcher.status;
  return { store: tasks.state, lanes, backend: problem ?? 'up', model: model ?? 'unavailable' };
}

interface OptionalProtocol {
  isOn(settings: ServerASettings): boolean;
  start(context: ProtocolContext): Promise<Protocol>;
}

/** The protocols besides HTTP. A new one is a folder and an entry here. Large libraries are imported only when used. */
const optionalProtocols: readonly OptionalProtocol[] = [
  {
    isOn: ({ zeromqPort }) => zeromqPort !== 0,
    start: async (context) => (await import('./protocols/zeromq/index.ts')).startZeromq(context),
  },
  {
    isOn: ({ grpcPort }) => grpcPort !== 0,
    start: async (context) => (await import('./protocols/grpc/index.ts')).startGrpc(context),
  },
  {
    isOn: (settings) => settings.websocketPort !== 0 && !sharesPort(settings),
    start: async (context) => (await import('./protocols/websocket/relay.ts')).startRelay(context),
  },
];
