import type { ErrorDescription } from '../../shared/errors.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { OutputHeader, Timings } from '../../shared/task.ts';

/** A task as it waits in the queue. */
export interface QueuedTask {
  readonly id: string;
  /** It was past GO on an instance that died, so it runs alone. */
  readonly suspect: boolean;
}

/** One attempt at a task: all that a lane needs to send it. */
export interface Job {
  readonly id: string;
  readonly attempt: number;
  readonly specs: readonly OutputSpec[];
  readonly header: ImageHeader;
  /** Size of the input in bytes. */
  readonly bytes: number;
  /** Of the input as it was accepted, in hexadecimal. */
  readonly sha256: string;
}

/** What `tasks/` tells the dispatcher of tasks that come and go by themselves; `dispatch/` implements it. */
export interface Dispatch {
  /** A new task waits. One that the dispatcher itself released or struck is its own to queue again. */
  enqueue(id: string, suspect: boolean): void;
  /**
   * A task was canceled, and its record says so: take it out of the queue, or cancel its job. It may come while
   * {@link TaskRecords.begin} of the same task is under way.
   */
  cancel(id: string): void;
}

/**
 * An output file under way. It counts for nothing until `commit` has made it durable and `complete` has named it; an
 * attempt's other files go when the attempt ends in any way (complete, fail, release or strike, also when those are
 * told that the task had moved on).
 */
export interface OutputFile {
  /** Appends; resolves when more may be given. Rejects with STORAGE_FULL when the disk is full. */
  write(chunk: Uint8Array): Promise<void>;
  /** fsync and rename; resolves with the picture's sha256 in hexadecimal. After the attempt's end it is in vain. */
  commit(): Promise<string>;
  /** Removes what was written. Safe after any failure. */
  discard(): Promise<void>;
}

/** An output that came out, or did not. */
export interface StoredOutput {
  readonly header: OutputHeader;
  /** Of the picture's bytes; null for data and failures. */
  readonly sha256: string | null;
}

/**
 * What the dispatcher needs of the task records; `tasks/` implements it. Every change is durable when its promise
 * resolves, and every end is fenced by `attempt`: false means that the task had moved on and nothing was written.
 */
export interface TaskRecords {
  /** Tasks that wait, oldest first. */
  waiting(): QueuedTask[];
  /**
   * pending → processing with the next attempt; null when the task is no longer pending. A task whose input is
   * missing or has another size ends here, failed with SPOOL_CORRUPT, and is null as well.
   */
  begin(id: string): Promise<Job | null>;
  /**
   * Reads a job's input, in pieces of at most `pieceBytes` bytes. Throws SPOOL_CORRUPT while it is read when the input is
   * missing or unreadable.
   */
  readInput(job: Job, pieceBytes: number): AsyncIterable<Uint8Array>;
  /** A new output file, once for each name of an attempt. Rejects with STORAGE_FULL when the disk is full. */
  createOutput(job: Job, name: string): Promise<OutputFile>;
  /** processing → completed, or failed when no output came out. */
  complete(job: Job, outputs: readonly StoredOutput[], timings: Timings): Promise<boolean>;
  /** processing → failed. */
  fail(job: Job, error: ErrorDescription): Promise<boolean>;
  /** processing → pending, at no cost to the task; a suspect stays one, another becomes one if `suspect`. */
  release(job: Job, suspect: boolean): Promise<boolean>;
  /** One strike: processing → pending, or failed with WORKER_CRASHED at the third. Resolves with what it became. */
  strike(job: Job): Promise<'pending' | 'failed' | 'unchanged'>;
}

/** Where a job's bytes come from, and where those of its outputs go. */
export type JobFiles = Pick<TaskRecords, 'readInput' | 'createOutput'>;
