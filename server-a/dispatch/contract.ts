import type { ErrorDescription } from '../../shared/errors.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { OutputHeader, Timings } from '../../shared/task.ts';

/** A task that waits in the queue. */
export interface QueuedTask {
  readonly id: string;
  /** The task was past GO on an instance that died, so it runs alone. */
  readonly suspect: boolean;
}

/** One attempt at a task, with everything a lane needs to send it. */
export interface Job {
  readonly id: string;
  readonly attempt: number;
  readonly specs: readonly OutputSpec[];
  readonly header: ImageHeader;
  /** Size of the input in bytes. */
  readonly bytes: number;
  /** SHA-256 of the input when it was accepted, in hexadecimal. */
  readonly sha256: string;
}

/** The calls of `tasks/` when a client submits or cancels a task; `dispatch/` implements them. */
export interface Dispatch {
  /** The smallest memory for jobs that Server B has announced, in bytes; null before it has announced one. */
  readonly memoryBytes: number | null;
  /** Queues a new task. The dispatcher itself queues tasks again that it released or gave a strike. */
  enqueue(id: string, suspect: boolean): void;
  /**
   * Removes a task from the queue or cancels its job, after its record has become canceled. May be called while
   * {@link TaskRecords.begin} of the same task is in progress.
   */
  cancel(id: string): void;
}

/**
 * An output file that is being written. It becomes an output when `commit` has made it durable and `complete` has named
 * it. All other files of the attempt are removed when the attempt ends by complete, fail, release or crashedAlone, also when
 * these find that the attempt is no longer current.
 */
export interface OutputFile {
  /**
   * Appends a chunk. A promise resolves when the next chunk may come (backpressure); without one it may come at once.
   * Rejects with STORAGE_FULL on a full disk.
   */
  write(chunk: Uint8Array): Promise<void> | undefined;
  /**
   * Runs fsync and rename; resolves with the picture's SHA-256 in hexadecimal. No rename after the attempt has ended.
   */
  commit(): Promise<string>;
  /** Removes the file. Safe after any failure. */
  discard(): Promise<void>;
}

/** An output, or the error it failed with. */
export interface StoredOutput {
  readonly header: OutputHeader;
  /** SHA-256 of the picture's bytes, in hexadecimal; null for data and failures. */
  readonly sha256: string | null;
}

/**
 * The task records as the dispatcher uses them; `tasks/` implements it. Every change is durable when its promise
 * resolves. Every end is a compare-and-set on `attempt`: false means that the attempt is no longer current and nothing
 * was written.
 */
export interface TaskRecords {
  /** Tasks that wait, oldest first. */
  waiting(): QueuedTask[];
  /**
   * pending → processing with the next attempt; null when the task is no longer pending. Also null when the input is
   * missing or has another size; the task then fails with SPOOL_CORRUPT.
   */
  begin(id: string): Promise<Job | null>;
  /**
   * Reads a job's input, into `buffer` where it has to be read from a file: a piece is valid until the next one is asked
   * for. The iteration throws SPOOL_CORRUPT when the input is missing or unreadable.
   */
  readInput(job: Job, buffer: Uint8Array): AsyncIterable<Uint8Array>;
  /** Makes an output file, once for each name of an attempt. Rejects with STORAGE_FULL when the disk is full. */
  createOutput(job: Job, name: string): Promise<OutputFile>;
  /** processing → completed, or failed when every output failed. `warnings` say what was repaired in the picture. */
  complete(
    job: Job,
    outputs: readonly StoredOutput[],
    timings: Timings,
    warnings?: readonly string[],
  ): Promise<boolean>;
  /** processing → failed. */
  fail(job: Job, error: ErrorDescription): Promise<boolean>;
  /** processing → pending, without a strike. With `suspect` the task becomes a suspect; a suspect stays one. */
  release(job: Job, suspect: boolean): Promise<boolean>;
  /**
   * Counts an instance or a thread that ended while it ran only this job, and a strike when the job can have caused that:
   * processing → pending, or failed with WORKER_CRASHED at the third strike or the twentieth end. Resolves with the new
   * status.
   */
  crashedAlone(job: Job, isStrike: boolean): Promise<'pending' | 'failed' | 'unchanged'>;
}

/** Reads a job's input and makes files for its outputs. */
export type JobFiles = Pick<TaskRecords, 'readInput' | 'createOutput'>;
