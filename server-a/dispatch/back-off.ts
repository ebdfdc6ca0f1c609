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
 * Pauses dispatch when Server A itself fails, for example on a full disk. Exponential back-off: each pause is twice as
 * long until a task completes. Keeps jobs whose outcome could not be written, and releases them after the pause.
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

  /** Starts a pause, unless dispatch is paused already. */
  pause(reason: string): void {
    if (this.isPaused || this.#isClosed) return;
    trace('dispatch', 'pauses for', this.#pauseMs, 'ms:', reason);
    this.#options.log.warn({ reason, pause_ms: this.#pauseMs }, 'dispatch is paused');
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = null;
      void this.#resume();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }

  /** Makes the next pause the shortest again, because a task has completed. */
  reset(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  /**
   * Writes a job's outcome by `write`. Rejects if `write` rejects; the job is then released in `mode` after the next
   * pause.
   */
  async record(job: Job, mode: Mode, write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      trace(job.id, 'could not be written');
      this.#unwritten.set(job.id, { job, mode });
      throw error;
    }
  }

  /** Cancels the current pause without resuming. No other pause starts. */
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
      this.#options.log.error({ err: error }, 'jobs could not be released after a pause');
      this.pause('the records still cannot be written');
    }
    this.#options.resumed();
  }
}
