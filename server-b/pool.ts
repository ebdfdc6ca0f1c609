import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Piscina } from 'piscina';
import type { PictureLimits } from '../shared/config.ts';
import { describeError, type ErrorDescription, shuttingDown } from '../shared/errors.ts';
import type { ImageHeader } from '../shared/image-header.ts';
import type { Logger } from '../shared/log.ts';
import type { OutputSpec } from '../shared/operations/index.ts';
import { Semaphore } from '../shared/semaphore.ts';
import { type JobOutcome, SHARED_BYTES, type WorkerJob, type WorkerReply, type WorkerSettings } from './job.ts';
import type { ModelFiles } from './model/find.ts';

/** One job for the pool. */
export interface PoolJob {
  /** The task's id, for the log. */
  readonly id: string;
  readonly outputs: readonly OutputSpec[];
  readonly image: ImageHeader;
  /** The encoded picture, in a separate ArrayBuffer: it is transferred to the worker, and empty here afterwards. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Milliseconds that a worker may take, from the moment it takes the job. */
  readonly deadlineMs: number;
}

export interface PoolOptions {
  readonly threads: number;
  readonly jobsPerThread: number;
  readonly limits: PictureLimits;
  /** For tests: path of a module whose exports replace operations by name. */
  readonly operationsModule: string | undefined;
  readonly log: Logger;
}

/** How long `close` waits for running jobs before it ends their threads, in milliseconds. */
const CLOSE_MS = 2000;
/**
 * Milliseconds without an idle moment after which a thread counts as stalled. A working thread mostly waits for
 * libvips.
 */
const STALL_MS = 200;

/**
 * The worker threads, as the main thread uses them. The main thread loads neither sharp nor ONNX Runtime.
 *
 * A running Piscina task is never aborted: that kills its thread, and with ONNX Runtime sometimes the process. So jobs
 * wait here, where an abort is harmless, and Piscina gets a job only when a thread can run it at once.
 */
export class Pool {
  readonly #piscina: Piscina<WorkerJob | null, WorkerReply>;
  readonly #log: Logger;
  /** One permit for each job that the threads can run at once. */
  readonly #slots: Semaphore;
  #closing = false;
  #model: ModelFiles | null = null;

  private constructor(options: PoolOptions) {
    const { threads, jobsPerThread, limits, operationsModule } = options;
    const workerData: WorkerSettings = {
      limits: {
        maxPixels: limits.maxPixels,
        maxSide: limits.maxSide,
        maxDecodedMb: limits.maxDecodedMb,
        maxFrames: limits.maxFrames,
        maxAnimationSeconds: limits.maxAnimationSeconds,
      },
      operationsModule: operationsModule === undefined ? undefined : pathToFileURL(resolve(operationsModule)).href,
      setUp: new SharedArrayBuffer(SHARED_BYTES),
    };
    this.#log = options.log;
    this.#slots = new Semaphore(threads * jobsPerThread);
    this.#piscina = new Piscina({
      filename: new URL('./worker.js', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: jobsPerThread,
      idleTimeout: Number.POSITIVE_INFINITY,
      // A thread that waits for its next job in Atomics.wait would look like a stalled one.
      atomics: 'disabled',
      closeTimeout: CLOSE_MS,
      workerData,
    });
    this.#piscina.on('error', (error: unknown) => this.#log.error({ err: error }, 'a worker thread failed'));
  }

  /** Starts the threads; rejects with their error when they cannot start, as for an unknown operations module. */
  static async open(options: PoolOptions): Promise<Pool> {
    const pool = new Pool(options);
    try {
      await pool.#piscina.run(null, { name: 'ready' });
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  /** The classifier that each job gets; null where there is none. */
  get model(): ModelFiles | null {
    return this.#model;
  }

  /** Jobs run from now on get this classifier; a thread loads it when it first needs it. */
  useModel(model: ModelFiles | null): void {
    this.#model = model;
  }

  /**
   * Runs a job and resolves with its outcome; never rejects. While the job waits for a thread, `signal` ends it as
   * CANCELED; once it runs, it ends by itself or by its deadline. When a thread exits, its jobs end as WORKER_CRASHED.
   */
  async run(job: PoolJob, signal: AbortSignal): Promise<JobOutcome> {
    if (!(await this.#slots.acquire(signal))) {
      return failed({ code: 'CANCELED', message: 'The task was canceled.' });
    }
    try {
      const { outputs, image, body, deadlineMs } = job;
      const task = { outputs, image, body, deadlineMs, model: this.#model };
      const { outcome, faults } = await this.#piscina.run(task, { transferList: [body.buffer] });
      for (const { code, ...fault } of faults) {
        this.#log[code === 'INTERNAL' ? 'error' : 'info'](
          { task_id: job.id, code, ...fault },
          'a step of a job failed',
        );
      }
      return outcome;
    } catch (error) {
      if (this.#closing) return failed(describeError(shuttingDown()));
      this.#log.error({ task_id: job.id, err: error }, 'no worker thread returned the job');
      // postMessage throws for a body that cannot be transferred: the caller's mistake, and no thread has ended.
      if (error instanceof DOMException) return failed(describeError(error));
      return failed({ code: 'WORKER_CRASHED', message: 'The worker thread of this task ended unexpectedly.' });
    } finally {
      this.#slots.release();
    }
  }

  /** Measures for 200 ms whether a thread is stalled: a call that does not return blocks all jobs of its thread. */
  async hasStalledThread(): Promise<boolean> {
    const before = this.#piscina.threads.map((thread) => ({ thread, used: thread.performance.eventLoopUtilization() }));
    await sleep(STALL_MS);
    return before.some(({ thread, used }) => thread.performance.eventLoopUtilization(used).utilization === 1);
  }

  /** Ends the threads when they are idle, or after two seconds. Jobs that have not ended by then fail with DRAINING. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#piscina.close();
  }
}

function failed(error: ErrorDescription): JobOutcome {
  return { kind: 'failed', error };
}
