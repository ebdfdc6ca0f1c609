import { DarkroomError } from '../../shared/errors.ts';
import type { OutputHeader } from '../../shared/task.ts';
import type { Job, OutputFile, StoredOutput, TaskRecords } from './contract.ts';

/** Makes output files. */
export type OutputStore = Pick<TaskRecords, 'createOutput'>;

/** Flow control of the sender. */
export interface OutputFlow {
  pause(): void;
  resume(): void;
  /** Called once when an output could not be written. */
  failed(error: unknown): void;
}

/** High-water mark: the sender is paused while more bytes than this are received but not written. */
const MAX_UNWRITTEN_BYTES = 2 * 1024 * 1024;

interface ReceivedOutput {
  readonly header: OutputHeader;
  /** Null for data and failures, which have no bytes. */
  file: OutputFile | null;
}

/** Writes a job's outputs from the socket to files, in order and without blocking the socket. */
export class OutputReceiver {
  readonly #job: Job;
  readonly #store: OutputStore;
  readonly #flow: OutputFlow;
  readonly #outputs: ReceivedOutput[] = [];
  /** The chain of writes; each waits for the one before. */
  #steps: Promise<void> = Promise.resolve();
  #unwritten = 0;
  #isPaused = false;
  /** Why nothing more is written; null before a failure. */
  #failure: { readonly reason: unknown } | null = null;

  constructor(job: Job, store: OutputStore, flow: OutputFlow) {
    this.#job = job;
    this.#store = store;
    this.#flow = flow;
  }

  /** Starts the next output; its bytes follow through `data`. */
  begin(header: OutputHeader): void {
    const output: ReceivedOutput = { header, file: null };
    this.#outputs.push(output);
    if (header.kind !== 'picture') return;
    this.#step(async () => {
      output.file = await this.#store.createOutput(this.#job, header.name);
    });
  }

  /** Appends to the current output; keeps the buffer until it is written. */
  data(piece: Buffer): void {
    const output = this.#outputs.at(-1);
    if (output === undefined || this.#failure !== null) return;
    this.#unwritten += piece.length;
    if (this.#unwritten > MAX_UNWRITTEN_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#flow.pause();
    }
    this.#step(async () => {
      await output.file?.write(piece);
      this.#unwritten -= piece.length;
      this.#resumeSender();
    });
  }

  /** Makes every output durable; resolves with them in the order received. Rejects with the first failure. */
  async commit(): Promise<StoredOutput[]> {
    await this.#steps;
    if (this.#failure !== null) throw this.#failure.reason;
    return Promise.all(
      this.#outputs.map(async ({ header, file }) => ({ header, sha256: file === null ? null : await file.commit() })),
    );
  }

  /** Removes every output file; safe at any time. */
  async discard(): Promise<void> {
    this.#failure ??= { reason: new DarkroomError('CANCELED', 'The outputs were discarded.') };
    this.#resumeSender();
    await this.#steps;
    await Promise.all(this.#outputs.map(({ file }) => file?.discard()));
  }

  #step(work: () => Promise<void>): void {
    this.#steps = this.#steps.then(async () => {
      if (this.#failure !== null) return;
      try {
        await work();
      } catch (reason) {
        this.#failure = { reason };
        this.#resumeSender();
        this.#flow.failed(reason);
      }
    });
  }

  #resumeSender(): void {
    if (!this.#isPaused || (this.#failure === null && this.#unwritten > MAX_UNWRITTEN_BYTES / 2)) return;
    this.#isPaused = false;
    this.#flow.resume();
  }
}
