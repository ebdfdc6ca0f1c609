import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { toEnvironment } from '../shared/config.ts';
import { IDENTITY_VARIABLE, type Identity } from './child-messages.ts';
import { SERVER_B_PREFIX, type ServerBSettings, serverBSettings } from './config.ts';

/**
 * Threads of libuv's pool for file work, in addition to one for each job: all threads share that pool (4 by default).
 */
const SPARE_UV_THREADS = 4;

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment of an instance: what it inherits, the settings, and the variables that are read only when a process
 * starts: libuv's thread count, libvips' block of untrusted loaders, ONNX Runtime's telemetry, and two of glibc's.
 *
 * MALLOC_ARENA_MAX limits the heaps, because each heap keeps the memory that its threads have used (2 heaps instead of
 * one for each thread: 390 MiB instead of 530 after the same 160 tasks). An allocation larger than
 * MALLOC_MMAP_THRESHOLD_ bytes is outside of the heaps and returns to the system when it is freed; without the variable
 * glibc raises the threshold up to 32 MiB (after 8 large pictures each of JPEG, AVIF and PNG: 460 MiB instead of 300,
 * with the same CPU time). 256 KiB includes libvips' windows of rows of the largest pictures: after 8 JPEGs of 100
 * megapixels 240 MiB instead of 420 with 1 MiB, and as many page faults for pictures of 8 megapixels.
 */
export function instanceEnvironment(
  settings: ServerBSettings,
  inherited: Environment,
  identity: Identity,
): Environment {
  const slots = settings.threads * settings.jobsPerThread;
  return {
    ...withoutDarkroom(inherited),
    ...toEnvironment(serverBSettings, SERVER_B_PREFIX, settings),
    [IDENTITY_VARIABLE]: JSON.stringify(identity),
    UV_THREADPOOL_SIZE: String(slots + SPARE_UV_THREADS),
    VIPS_BLOCK_UNTRUSTED: '1',
    MALLOC_ARENA_MAX: '2',
    MALLOC_MMAP_THRESHOLD_: '262144',
    ORT_DISABLE_TELEMETRY: '1',
  };
}

/**
 * V8's flags. Bodies and outputs are memory outside its heap, and with many of them it marks the whole heap again and
 * again, on all its helper threads. Small young generations are collected often enough that it need not, and without
 * helper threads a collection takes less CPU. A worker asks for a collection after a large job (large-job.ts).
 */
const V8_FLAGS = ['--single-threaded-gc', '--max-semi-space-size=2', '--expose-gc'];

/** Starts the process of an instance, with an IPC channel. */
export function forkInstance(environment: Environment): ChildProcess {
  return fork(fileURLToPath(new URL('./main.js', import.meta.url)), [], {
    execArgv: [...process.execArgv, ...V8_FLAGS],
    env: { ...environment },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** An attacker who takes over a decoder must not find Server A's secrets, such as the API keys, in the environment. */
function withoutDarkroom(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('DARKROOM_')));
}
