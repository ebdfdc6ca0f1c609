import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Clock, SYSTEM_CLOCK, type Timer } from '../shared/clock.ts';
import { toEnvironment } from '../shared/config.ts';
import { DarkroomError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { type ChildMessage, childMessageSchema, DRAIN_MS, SILENT_MS } from './child-messages.ts';
import { SERVER_B_PREFIX, type ServerBSettings, serverBSettings } from './config.ts';
import type { ListenAddress } from './listener.ts';

/** First and longest wait before an instance is replaced, in milliseconds; it doubles in between. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;
/** An instance that has lived this long was a good one: the wait starts over. */
const GOOD_LIFE_MS = 10_000;
/** How much longer than its drain an instance may take to exit, in milliseconds. */
const EXIT_MS = 2000;
/** Threads for file and codec work beside the workers: libuv's pool is shared by all of them (4 by default). */
const SPARE_UV_THREADS = 4;

export interface SupervisorOptions {
  /** The environment the instance inherits, but for Darkroom's own variables: it has its settings from here. */
  readonly environment: Environment;
  readonly log: Logger;
  /** The system's clock unless a test gives its own, as with `fork`. */
  readonly clock?: Clock;
  /** Starts the process of an instance, with an IPC channel. */
  readonly fork?: (environment: Environment) => ChildProcess;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Told of the first instance's start, or of the reason why it cannot. */
interface FirstLife {
  readonly listening: () => void;
  readonly unable: (reason: unknown) => void;
}

/** How a life ended: what the process exited with, or why there never was one. */
type End = { readonly code: number | null; readonly signal: NodeJS.Signals | null } | { readonly err: unknown };
type Unable = Extract<ChildMessage, { kind: 'unable' }>;

/**
 * Keeps one Server B process alive: starts it with the right environment, replaces it when it ends, kills it when it is
 * silent. A native fault in any of its threads takes the whole process, so its loss is an everyday thing.
 */
export class Supervisor {
  readonly #settings: ServerBSettings;
  readonly #options: SupervisorOptions;
  readonly #clock: Clock;
  readonly #fork: (environment: Environment) => ChildProcess;
  readonly #listeners = new Set<() => void>();
  #child: ChildProcess | null = null;
  #address: ListenAddress | null = null;
  #restart: Timer | undefined;
  #waitMs = FIRST_WAIT_MS;
  #isClosing = false;

  constructor(settings: ServerBSettings, options: SupervisorOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#fork = options.fork ?? forkInstance;
  }

  /** Where the living instance listens; null between two lives. */
  get address(): ListenAddress | null {
    return this.#address;
  }

  /** Process id of the living instance; null between two lives. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Calls the listener whenever the address changes. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves when the first instance listens. Throws its reason, with the system's code and port, when it cannot. */
  async start(): Promise<void> {
    try {
      await new Promise<void>((listening, unable) => this.#begin({ listening, unable }));
    } catch (error) {
      this.#isClosing = true;
      throw error;
    }
  }

  /** Lets the instance finish, kills it when it takes too long, starts no other. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#clock.clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null) return;
    await new Promise<void>((resolve) => {
      const overdue = this.#clock.setTimeout(() => child.kill('SIGKILL'), DRAIN_MS + EXIT_MS);
      child.once('exit', () => {
        this.#clock.clearTimeout(overdue);
        resolve();
      });
      if (this.#address === null) child.kill('SIGKILL');
      // One that cannot be told has its channel, and so its life, at an end.
      else if (child.connected) child.send({ kind: 'drain' }, () => {});
    });
  }

  /**
   * Begins a life. One that cannot be forked has its end at once: Node throws for some reasons (ENOMEM), and for others
   * (EAGAIN, EMFILE, ENFILE, ENOENT) gives a child without a pid, of which only 'error' is heard.
   */
  #begin(first?: FirstLife): void {
    const bornAt = this.#clock.now();
    const unborn = (error: unknown) => this.#ended({ err: error }, bornAt, first);
    try {
      const child = this.#fork(this.#environment());
      if (child.pid === undefined) child.once('error', unborn);
      else this.#attend(child, bornAt, first);
    } catch (error) {
      unborn(error);
    }
  }

  #attend(child: ChildProcess, bornAt: number, first?: FirstLife): void {
    this.#child = child;
    const silence = this.#clock.setTimeout(() => this.#killSilent(child), SILENT_MS);
    child.on('error', (error) => this.#options.log.error({ err: error }, 'Server B process'));
    child.on('message', (raw) => {
      silence.refresh();
      const message = childMessageSchema.safeParse(raw);
      if (!message.success) return;
      if (message.data.kind === 'unable') this.#unable(message.data, first);
      if (message.data.kind !== 'listening') return;
      this.#setAddress({ host: message.data.host, port: message.data.port });
      first?.listening();
    });
    child.once('exit', (code, signal) => {
      this.#clock.clearTimeout(silence);
      this.#child = null;
      this.#ended({ code, signal }, bornAt, first);
    });
  }

  /** A life is over: the caller's to hear if it was the first and never listened, else followed by another. */
  #ended(end: End, bornAt: number, first?: FirstLife): void {
    const hasListened = this.#address !== null;
    this.#setAddress(null);
    if (first !== undefined && !hasListened) {
      first.unable('err' in end ? end.err : endedTooSoon(end));
    } else if (!this.#isClosing) {
      this.#options.log.error(end, 'Server B ended; starting another');
      this.#startAgain(this.#clock.now() - bornAt);
    }
  }

  /** The reason crosses the process border as text; code and port are put back, so that the flag can be named. */
  #unable({ message, code, port }: Unable, first?: FirstLife): void {
    this.#options.log.error({ reason: message, code, port }, 'Server B cannot start');
    first?.unable(Object.assign(new Error(message), { code, port }));
  }

  #startAgain(livedMs: number): void {
    if (livedMs > GOOD_LIFE_MS) this.#waitMs = FIRST_WAIT_MS;
    this.#restart = this.#clock.setTimeout(() => this.#begin(), this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
  }

  #killSilent(child: ChildProcess): void {
    this.#options.log.error({ silent_ms: SILENT_MS }, 'Server B is silent; killing it');
    child.kill('SIGKILL');
  }

  #setAddress(address: ListenAddress | null): void {
    if (this.#address === null && address === null) return;
    this.#address = address;
    for (const listener of this.#listeners) listener();
  }

  /**
   * The settings, and what is read only as a process starts: libuv's thread count, libvips' block of untrusted loaders,
   * whether ONNX Runtime may report to its maker, and the number of glibc's heaps, each of which keeps what its threads
   * once used (two instead of one a thread: 390 MiB instead of 530 for the same 160 tasks). What is larger than
   * MALLOC_MMAP_THRESHOLD_, in bytes, is no part of them and goes back to the system when it is freed; left to itself
   * glibc raises that to 32 MiB (after eight each of large JPEG, AVIF and PNG pictures: 300 MiB instead of 460, at the
   * same CPU time).
   */
  #environment(): Environment {
    const slots = this.#settings.threads * this.#settings.jobsPerThread;
    return {
      ...withoutDarkroom(this.#options.environment),
      ...toEnvironment(serverBSettings, SERVER_B_PREFIX, this.#settings),
      UV_THREADPOOL_SIZE: String(slots + SPARE_UV_THREADS),
      VIPS_BLOCK_UNTRUSTED: '1',
      MALLOC_ARENA_MAX: '2',
      MALLOC_MMAP_THRESHOLD_: '1048576',
      ORT_DISABLE_TELEMETRY: '1',
    };
  }
}

function forkInstance(environment: Environment): ChildProcess {
  return fork(fileURLToPath(new URL('./main.js', import.meta.url)), [], {
    env: { ...environment },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** Whoever takes over a decoder must not find Server A's secrets there, such as the API keys. */
function withoutDarkroom(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('DARKROOM_')));
}

function endedTooSoon({ code, signal }: Extract<End, { code: unknown }>): DarkroomError {
  return new DarkroomError('INTERNAL', `Expected Server B to start and listen, received its end (${signal ?? code})`);
}
