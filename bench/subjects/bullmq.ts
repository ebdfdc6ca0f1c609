import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { dismiss, nextMessage, pidOf } from '../child.ts';
import { freePort } from '../free-port.ts';
import type { Load } from '../load/load.ts';
import type { LoadRequest } from '../load/messages.ts';
import { treeOf } from '../processes.ts';
import type { Work } from '../work.ts';
import { formUploads } from './form-uploads.ts';
import { HttpSubject } from './http-subject.ts';

/** The folder of the sources: TypeScript does not compile it, because its packages are usually not installed. */
const PEER = fileURLToPath(new URL('../../../bench/peers/bullmq/', import.meta.url));
/** Between two attempts to reach Redis while it starts, in milliseconds. */
const RETRY_MS = 20;

/** BullMQ is here: its packages are installed in `bench/peers/bullmq`, and `redis-server` is on the path. */
export function hasBullmq(): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const hasRedis = folders.some((folder) => existsSync(join(folder, 'redis-server')));
  return hasRedis && existsSync(join(PEER, 'node_modules', 'bullmq'));
}

/** Starts Redis, a server and a worker, which write below `folder`; null where they are not installed. */
export async function startBullmq(folder: string, load: Load): Promise<Bullmq | null> {
  if (!hasBullmq()) return null;
  const files = join(folder, 'bullmq');
  await mkdir(files);
  const [port, redisPort] = [await freePort(), await freePort()];
  const words = ['--port', String(redisPort), '--bind', '127.0.0.1', '--dir', files];
  const redis = spawn('redis-server', words, { stdio: 'ignore' });
  const kill = () => redis.kill('SIGTERM');
  process.on('exit', kill);
  redis.once('exit', () => process.off('exit', kill));
  const programs: ChildProcess[] = [];
  try {
    await untilConnected(redis, redisPort);
    const atOnce = 2 * availableParallelism();
    programs.push(await startProgram('worker.js', redisPort, atOnce));
    programs.push(await startProgram('server.js', port, files, redisPort));
    return new Bullmq(programs, redis, `http://127.0.0.1:${port}`, folder, load);
  } catch (error) {
    for (const program of programs) await dismiss(program);
    kill();
    throw error;
  }
}

async function startProgram(script: string, ...words: (string | number)[]): Promise<ChildProcess> {
  const program = fork(join(PEER, script), words.map(String));
  await nextMessage(program);
  return program;
}

/** `bench/peers/bullmq`: a queue in Redis, with a process that serves and one that works. */
class Bullmq extends HttpSubject {
  readonly name = 'BullMQ + Redis';
  readonly origin: string;
  readonly #programs: readonly ChildProcess[];
  readonly #redis: ChildProcess;
  readonly #folder: string;

  constructor(programs: readonly ChildProcess[], redis: ChildProcess, origin: string, folder: string, load: Load) {
    super(load);
    this.#programs = programs;
    this.#redis = redis;
    this.origin = origin;
    this.#folder = folder;
  }

  requestsOf(work: Work): Promise<LoadRequest[]> {
    return formUploads(work, this.#folder);
  }

  pids(): number[] {
    return [...this.#programs, this.#redis].flatMap((child) => treeOf(pidOf(child)));
  }

  async close(): Promise<void> {
    for (const program of this.#programs) await dismiss(program);
    const ended = once(this.#redis, 'exit');
    this.#redis.kill('SIGTERM');
    await ended;
  }
}

async function untilConnected(redis: ChildProcess, port: number): Promise<void> {
  while (redis.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const isConnected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isConnected) return;
    await sleep(RETRY_MS);
  }
  throw new Error(`redis-server has ended with ${redis.exitCode}.`);
}
