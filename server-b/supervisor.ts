import type { ChildProcess } from 'node:child_process';
import { nanoid } from 'nanoid';
import { type Clock, SYSTEM_CLOCK, type Timer } from '../shared/clock.ts';
import { DarkroomError, shuttingDown } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { Watchdog } from '../shared/watchdog.ts';
import type { EndedInstance } from '../shared/wire/messages.ts';
import { type ChildMessage, childMessageSchema, DRAIN_MS, SILENT_MS, STARTING_MS } from './child-messages.ts';
import type { ServerBSettings } from './config.ts';
import { causeOf, type InstanceEnd } from './instance-end.ts';
import { type Environment, forkInstance, instanceEnvironment } from './instance-process.ts';
import type { ListenAddress } from './listener.ts';
import { OomKills } from './oom-kills.ts';

/**
 * First and longest pause before the next instance when one has ended before it listened, in milliseconds; the pause
 * doubles each time (back-off). An instance that has listened is replaced at once: a picture may have ended it, and the
 * tasks of others wait.
 */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;
/** How long an instance may take to exit after its drain, in milliseconds. */
const EXIT_MS = 2000;
/** Parts of SILENT_MS: each is longer than a beat, so that beats in time leave nothing to do for the watchdog's timer. */
const SILENT_PARTS = 2;
/** Ended instances that the next one tells Server A of. Server A asks about those whose jobs it has lost. */
const MAX_ENDED = 16;

export interface SupervisorOptions {
  /** The environment that the instance inherits, without Darkroom's own variables: those come from the settings. */
  readonly environment: Environment;
  readonly log: Logger;
  /** Default: the system's clock. Tests replace it, and `fork`. */
  readonly clock?: Clock;
  /** Starts the process of an instance, with an IPC channel. */
  readonly fork?: (environment: Environment) => ChildProcess;
  /** The counter of this process's control group unless a test gives its own. */
  readonly oomKills?: Pick<OomKills, 'hasRisen'>;
}

/** Callbacks for `start`: an instance listens, or none can start, with the reason. */
interface Start {
  readonly listening: () => void;
  readonly unable: (reason: unknown) => void;
}

/** One run of a Server B process. */
interface Life {
  readonly instance: string;
  isStuck: boolean;
  isKilledBySupervisor: boolean;
}

/** How a life ended: the end of its process, or the reason why no process could be started. */
type End = InstanceEnd | { readonly err: unknown };
type Unable = Extract<ChildMessage, { kind: 'unable' }>;

/**
 * Keeps one Server B process running: starts it with the right environment, replaces it when it ends, kills it when its
 * heartbeat stops. A native fault in any of its threads ends the whole process, so such ends are expected.
 */
export class Supervisor {
  readonly #settings: ServerBSettings;
  readonly #options: SupervisorOptions;
  readonly #clock: Clock;
  readonly #fork: (environment: Environment) => ChildProcess;
  readonly #oomKills: Pick<OomKills, 'hasRisen'>;
  readonly #listeners = new Set<() => void>();
  /** The last instances that listened and have ended. */
  #ended: EndedInstance[] = [];
  #child: ChildProcess | null = null;
  /** Null once the first instance listens. */
  #start: Start | null = null;
  #address: ListenAddress | null = null;
  #restart: Timer | undefined;
  #waitMs = FIRST_WAIT_MS;
  #isClosing = false;

  constructor(settings: ServerBSettings, options: SupervisorOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#fork = options.fork ?? forkInstance;
    this.#oomKills = options.oomKills ?? new OomKills();
  }

  /** Where the current instance listens; null between two instances. */
  get address(): ListenAddress | null {
    return this.#address;
  }

  /** Process id of the current instance; null between two instances. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Calls the listener each time the address changes. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Resolves when the first instance listens; one that is killed before that is replaced. Throws the reason, with the
   * system's code and port, when it cannot start, and DRAINING after {@link close}.
   */
  async start(): Promise<void> {
    try {
      await new Promise<void>((listening, unable) => {
        this.#start = { listening, unable };
        this.#startInstance();
      });
    } catch (error) {
      this.#isClosing = true;
      throw error;
    }
  }

  /** Drains the instance, kills it when that takes too long, and starts no other. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#clock.clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null) {
      this.#start?.unable(shuttingDown());
      return;
    }
    await new Promise<void>((resolve) => {
      const overdue = new Watchdog(this.#clock, DRAIN_MS + EXIT_MS, () => child.kill('SIGKILL'));
      child.once('exit', () => {
        overdue.stop();
        resolve();
      });
      if (this.#address === null) child.kill('SIGKILL');
      // An instance without an IPC channel ends by itself.
      else if (child.connected) child.send({ kind: 'drain' }, () => {});
    });
  }

  /**
   * Starts an instance. When the fork fails, the instance counts as ended at once. For some reasons (ENOMEM) Node
   * throws; for others (EAGAIN, EMFILE, ENFILE, ENOENT) it returns a child without a pid, which emits only 'error'.
   */
  #startInstance(): void {
    const life: Life = { instance: nanoid(), isStuck: false, isKilledBySupervisor: false };
    const forkFailed = (error: unknown) => this.#lifeEnded(life, { err: error });
    // Kills until now were not of this instance.
    this.#oomKills.hasRisen();
    try {
      const identity = { instance: life.instance, ended: this.#ended };
      const child = this.#fork(instanceEnvironment(this.#settings, this.#options.environment, identity));
      if (child.pid === undefined) child.once('error', forkFailed);
      else this.#watch(child, life);
    } catch (error) {
      forkFailed(error);
    }
  }

  #watch(child: ChildProcess, life: Life): void {
    this.#child = child;
    let silence = this.#expectMessage(child, life, STARTING_MS);
    let isFirst = true;
    child.on('error', (error) => this.#options.log.error({ err: error }, 'the process of Server B reported an error'));
    child.on('message', (raw) => {
      if (isFirst) {
        silence.stop();
        silence = this.#expectMessage(child, life, SILENT_MS, SILENT_PARTS);
        isFirst = false;
      }
      silence.feed();
      const message = childMessageSchema.safeParse(raw);
      if (message.success) this.#hear(message.data, life);
    });
    child.once('exit', () => {
      silence.stop();
      this.#child = null;
    });
    // Unlike 'exit', this comes after the last message of the instance.
    child.once('close', (code, signal) => {
      const { isStuck, isKilledBySupervisor } = life;
      this.#lifeEnded(life, { code, signal, isStuck, isKilledBySupervisor });
    });
  }

  #hear(message: ChildMessage, life: Life): void {
    switch (message.kind) {
      case 'beat':
        return;
      case 'stuck':
        life.isStuck = true;
        return;
      case 'unable':
        this.#unable(message);
        return;
      case 'listening':
        this.#setAddress({ host: message.host, port: message.port });
        this.#start?.listening();
        this.#start = null;
    }
  }

  /** An instance has ended. Starts another, unless this end shows that the first one cannot start. */
  #lifeEnded({ instance }: Life, end: End): void {
    const hasListened = this.#address !== null;
    this.#setAddress(null);
    const cause = 'err' in end ? 'crashed' : this.#causeOf(end);
    if (hasListened) this.#remember({ instance, cause });
    // Ctrl-C reaches the whole process group: this process is about to end, too.
    const isInterrupted = 'signal' in end && end.signal === 'SIGINT';
    if (this.#start !== null && (cause === 'crashed' || this.#isClosing || isInterrupted)) {
      this.#start.unable('err' in end ? end.err : endedBeforeListening(end));
    } else if (!this.#isClosing) {
      this.#options.log.error(end, 'Server B ended; starting another');
      this.#startAgain(hasListened);
    }
  }

  #causeOf(end: InstanceEnd): EndedInstance['cause'] {
    return causeOf(end, () => this.#oomKills.hasRisen());
  }

  #remember(ended: EndedInstance): void {
    this.#ended = [...this.#ended, ended].slice(-MAX_ENDED);
  }

  /**
   * The reason comes as text over IPC. Code and port are put back on the error, so that a message can name the flag.
   */
  #unable({ message, code, port }: Unable): void {
    this.#options.log.error({ reason: message, code, port }, 'Server B cannot start');
    this.#start?.unable(Object.assign(new Error(message), { code, port }));
  }

  #startAgain(hasListened: boolean): void {
    if (hasListened) {
      this.#waitMs = FIRST_WAIT_MS;
      this.#startInstance();
      return;
    }
    this.#restart = this.#clock.setTimeout(() => this.#startInstance(), this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
  }

  /** Kills the instance when it sends no message for so many milliseconds, unless the watchdog is fed. */
  #expectMessage(child: ChildProcess, life: Life, milliseconds: number, parts?: number): Watchdog {
    const kill = (): void => {
      life.isKilledBySupervisor = true;
      this.#options.log.error({ silent_ms: milliseconds }, 'Server B sends no heartbeat; killing it');
      child.kill('SIGKILL');
    };
    return new Watchdog(this.#clock, milliseconds, kill, parts);
  }

  #setAddress(address: ListenAddress | null): void {
    if (this.#address === null && address === null) return;
    this.#address = address;
    for (const listener of this.#listeners) listener();
  }
}

function endedBeforeListening({ code, signal }: InstanceEnd): DarkroomError {
  return new DarkroomError('INTERNAL', `Server B ended before it listened (${signal ?? `exit code ${code}`}).`);
}
