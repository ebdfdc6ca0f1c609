import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pidOf } from './child.ts';
import { freePort } from './free-port.ts';
import { childrenOf } from './processes.ts';

/** A Darkroom for a benchmark, on free ports of loopback. */
export interface Service {
  readonly url: string;
  readonly serverA: number;
  /** NaN where Server A runs alone. */
  readonly serverB: number;
  /** From the start of the process to the first listener's line, in milliseconds. */
  readonly startMs: number;
  /** Ends it by SIGTERM, and removes the data folder if it was made for it. */
  close(): Promise<void>;
}

export interface ServiceOptions {
  /** Default `serve`. */
  readonly command?: 'serve' | 'server-a';
  /** An existing data folder. */
  readonly dataDir?: string;
}

/** Those of `npm start`. */
const V8_FLAGS = ['--single-threaded-gc', '--max-semi-space-size=2'];

/** Starts Darkroom as a user would; resolves when it has printed where it listens. */
export async function startService(flags: readonly string[], options: ServiceOptions = {}): Promise<Service> {
  const { command = 'serve' } = options;
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'darkroom-bench-')));
  const script = fileURLToPath(new URL('../bin/darkroom.js', import.meta.url));
  const words = [
    ...V8_FLAGS,
    script,
    command,
    '--data-dir',
    dataDir,
    '--log-level',
    'error',
    ...(await portFlags()),
    ...flags,
  ];
  const startedAt = performance.now();
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => child.kill('SIGTERM');
  process.on('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const url = await firstUrl(child.stdout);
  const startMs = performance.now() - startedAt;
  const serverA = pidOf(child);
  const [serverB = Number.NaN] = childrenOf(serverA);
  if (command === 'serve' && Number.isNaN(serverB)) throw new Error('Expected two processes, received one');
  return {
    url,
    serverA,
    serverB,
    startMs,
    close: async () => {
      await end(child);
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true });
    },
  };
}

/** The flags that give each protocol a free port of loopback. */
export async function portFlags(): Promise<string[]> {
  const flags = ['-p', '--zeromq-port', '--zeromq-pub-port', '--grpc-port', '--websocket-port'];
  const pairs = await Promise.all(flags.map(async (flag) => [flag, String(await freePort())]));
  return ['-i', '127.0.0.1', ...pairs.flat()];
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function firstUrl(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const url = /^HTTP\s+(http:\S+)/.exec(line)?.[1];
    // The rest of the output is read and dropped, so that the service never blocks on a full pipe.
    if (url !== undefined) {
      output.resume();
      return url;
    }
  }
  throw new Error('Expected a line with the HTTP address, received the end of the output');
}
