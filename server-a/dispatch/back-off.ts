import type { Clock, Timer } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import type { Mode } from './attempt.ts';
import type { Job } from './contract.ts';
import type { Schedule } from './schedule.ts';
import { trace } from './trace.ts';

/** First and longest pause, in milliseconds; each is twice the one before. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export interface BackOffOptions {
  readonly schedule: Pick<Schedule, 'release'>;
  readonly log: Logger;
  readonly clock: Clock;
  /** Called after each pause. Another pause may have begun by then. */
  resumed(): void;
}

/** A job whose outcome the records did not write, and the mode in which its task runs again. */
interface UnwrittenJob {
  readonly job: Job;
  readonly mode: Mode;
}

/**
 * Pauses dispatch when Server A itself cannot go on, as on a full disk; each pause is longer until a task completes. Jobs
 * whose outcome could not be written are kept, and released after the pause.
 */
export class BackOff {
  readonly #options: BackOffOptions;
  readonly #unwritten = new Map<string, UnwrittenJob>();
  #timer: Timer | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  #isClosed = false;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  get isPaused(): boolean {
    return this.#timer !== null;
  }

  /** Starts a pause, unless one is under way. */
  pause(reason: string): void {
    if (this.isPaused || this.#isClosed) return;
    trace('dispatch', 'pauses for', this.#pauseMs, 'ms:', reason);
    this.#options.log.warn({ reason, pause_ms: this.#pauseMs }, 'dispatch pauses');
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = null;
      void this.#resume();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }

  /** A task completed, so the next pause is the first one again. */
  reset(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  /** Runs a write of a job's outcome. Rejects as the write does; the job is then released in the mode after the next pause. */
  async record(job: Job, mode: Mode, write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      trace(job.id, 'could not be written');
      this.#unwritten.set(job.id, { job, mode });
      throw error;
    }
  }

  /** Ends the pause under way without resuming, and starts no other. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
  }

  async #resume(): Promise<void> {
    trace('dispatch', 'resumes');
    try {
      for (const { job, mode } of this.#unwritten.values()) {
        await this.#options.schedule.release(job, mode);
        this.#unwritten.delete(job.id);
      }
    } catch (error) {
      this.#options.log.error({ err: error }, 'the records still cannot be written');
      this.pause('the records still cannot be written');
    }
    this.#options.resumed();
  }
}
