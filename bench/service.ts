import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { childrenOf } from './processes.ts';

/** A `darkroom serve` for a benchmark, on a free port and with its own data folder. */
export interface Service {
  readonly url: string;
  readonly serverA: number;
  readonly serverB: number;
  /** From the start of the process to the first listener's line, in milliseconds. */
  readonly startMs: number;
  close(): Promise<void>;
}

/** Starts `darkroom serve` as a user would; resolves when it has printed where it listens. */
export async function startService(flags: readonly string[]): Promise<Service> {
  const dataDir = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
  const script = fileURLToPath(new URL('../bin/darkroom.js', import.meta.url));
  const startedAt = performance.now();
  const child = spawn(process.execPath, [script, 'serve', '-p', '0', '--data-dir', dataDir, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await firstUrl(child.stdout);
  const startMs = performance.now() - startedAt;
  const serverA = child.pid;
  const [serverB] = serverA === undefined ? [] : childrenOf(serverA);
  if (serverA === undefined || serverB === undefined) throw new Error('Expected two processes, received fewer');
  return {
    url,
    serverA,
    serverB,
    startMs,
    close: async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
      await rm(dataDir, { recursive: true });
    },
  };
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
