import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { DarkroomError } from '../../shared/errors.ts';
import type { ChangedRow, Command, Outcome, WriterMessage, WriterOrder } from './statements.ts';

interface Waiting {
  readonly command: Command;
  readonly resolve: (rows: ChangedRow[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The main thread's side of the writer thread. Group commit: commands that arrive during a commit form the next group,
 * so groups grow with the load and a single command is sent at once.
 */
export class WriteQueue {
  readonly #worker: Worker;
  readonly #exited: Promise<unknown>;
  readonly #onFatal: (error: Error) => void;
  #gathering: Waiting[] = [];
  #committing: Waiting[] = [];
  /** Why nothing can be written any more; null while the queue is open. */
  #end: Error | null = null;

  private constructor(worker: Worker, onFatal: (error: Error) => void) {
    this.#worker = worker;
    this.#onFatal = onFatal;
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('message', (message: WriterMessage) => {
      if (message.kind === 'committed') this.#settle(message.outcomes);
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`exit code ${code}`)));
  }

  /**
   * Starts the thread `script` for the store at `path`. Resolves when the thread has opened the store; rejects with the
   * thread's error when it could not. `onFatal` is called once if the thread ends before {@link close}.
   */
  static async start(script: URL, path: string, onFatal: (error: Error) => void): Promise<WriteQueue> {
    const worker = new Worker(script, { workerData: path });
    const [message]: WriterMessage[] = await once(worker, 'message');
    if (message?.kind === 'opened') return new WriteQueue(worker, onFatal);
    await worker.terminate();
    const cause = message?.kind === 'refused' ? message.error : undefined;
    throw new Error(`The store ${path} cannot be opened: ${cause?.message ?? 'no answer'}`, { cause });
  }

  /** False once nothing can be written any more. */
  get isOpen(): boolean {
    return this.#end === null;
  }

  /**
   * Resolves with the changed rows when the group of the command is committed. Rejects with STORAGE_FULL when the disk
   * is full, and with an Error when SQLite refuses the command, the queue is closed or the thread has died.
   */
  write(command: Command): Promise<ChangedRow[]> {
    const end = this.#end;
    if (end !== null) return Promise.reject(end);
    return new Promise((resolve, reject) => {
      this.#gathering.push({ command, resolve, reject });
      if (this.#committing.length === 0) this.#send();
    });
  }

  /** Commits all commands given before, then ends the thread. Idempotent. */
  async close(): Promise<void> {
    if (this.#end === null) {
      this.#end = new Error('The store is closed.');
      if (this.#committing.length === 0) this.#send();
    }
    await this.#exited;
  }

  /** Sends the next group. Ends the thread when the group is empty and the queue is closed. */
  #send(): void {
    this.#committing = this.#gathering;
    this.#gathering = [];
    const commands = this.#committing.map((waiting) => waiting.command);
    if (commands.length > 0) this.#order({ kind: 'commit', commands });
    else if (this.#end !== null) this.#order({ kind: 'close' });
  }

  #order(order: WriterOrder): void {
    this.#worker.postMessage(order);
  }

  #settle(outcomes: readonly Outcome[]): void {
    const settled = this.#committing;
    this.#send();
    for (const [index, waiting] of settled.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) waiting.reject(new Error('Expected an outcome for every command, received none'));
      else if ('rows' in outcome) waiting.resolve(outcome.rows);
      else waiting.reject(outcome.diskFull ? storageFull(outcome.error) : outcome.error);
    }
  }

  #fail(cause: Error): void {
    const lost = [...this.#committing, ...this.#gathering];
    const unexpected = this.#end === null || lost.length > 0;
    if (!unexpected) return;
    const error = new Error(`The thread that writes the store ended: ${cause.message}`, { cause });
    const first = this.#end === null;
    this.#end = error;
    this.#committing = [];
    this.#gathering = [];
    for (const waiting of lost) waiting.reject(error);
    if (first) this.#onFatal(error);
  }
}

function storageFull(cause: Error): DarkroomError {
  return new DarkroomError('STORAGE_FULL', 'The disk is full; the task record was not written.', { cause });
}
