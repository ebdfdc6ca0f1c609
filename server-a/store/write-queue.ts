import { once } from 'node:events';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DarkroomError } from '../../shared/errors.ts';
import type { Identity } from './identity.ts';
import { StoreRefusal } from './refusal.ts';
import type { ChangedRow, Command, Outcome, WriterData, WriterMessage, WriterOrder } from './statements.ts';

/**
 * V8 keeps up to three times as many MiB of pictures that were written before it looks for unused memory. The thread has
 * few other objects.
 */
const YOUNG_GENERATION_MB = 3;

/** If every record is in store.db after the end, and the error that prevented it. */
export interface Closing {
  readonly isClean: boolean;
  readonly error: Error | null;
}

/** What the thread says of the store that it has opened. */
type Opened = Pick<Extract<WriterMessage, { kind: 'opened' }>, 'identity' | 'pictureBytes'>;

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
  /** The identity of the opened store. */
  readonly identity: Identity;
  #pictureBytes: number;
  readonly #worker: Worker;
  readonly #exited: Promise<unknown>;
  readonly #onFatal: (error: Error) => void;
  #gathering: Waiting[] = [];
  #committing: Waiting[] = [];
  /** Why nothing can be written any more; null while the queue is open. */
  #end: Error | null = null;
  #closing: Closing = { isClean: false, error: null };

  private constructor(worker: Worker, { identity, pictureBytes }: Opened, onFatal: (error: Error) => void) {
    this.identity = identity;
    this.#pictureBytes = pictureBytes;
    this.#worker = worker;
    this.#onFatal = onFatal;
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('message', (message: WriterMessage) => {
      if (message.kind === 'committed') this.#settle(message.outcomes);
      if (message.kind === 'closed') this.#closing = message;
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`exit code ${code}`)));
  }

  /**
   * Starts the thread `script` for the store at `path`, which must be the one of the marker. Resolves when the thread has
   * opened the store. Throws {@link StoreRefusal} for a damaged or another store, and BAD_REQUEST when it cannot be
   * opened for another reason. `onFatal` is called once if the thread ends before {@link close}.
   */
  static async start(script: URL, { path, marker }: WriterData, onFatal: (error: Error) => void): Promise<WriteQueue> {
    const worker = new Worker(script, {
      workerData: { path, marker } satisfies WriterData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const [message]: WriterMessage[] = await once(worker, 'message');
    if (message?.kind === 'opened') return new WriteQueue(worker, message, onFatal);
    await worker.terminate();
    const refused = message?.kind === 'refused' ? message : undefined;
    const cause = refused?.error;
    if (typeof refused?.found === 'string') throw new StoreRefusal(dirname(path), refused.found, { cause });
    const reason = `The store ${path} cannot be opened: ${cause?.message ?? 'no answer'}`;
    throw new DarkroomError('BAD_REQUEST', reason, { cause });
  }

  /** The size of all stored pictures in bytes. */
  get pictureBytes(): number {
    return this.#pictureBytes;
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

  /**
   * Commits all commands given before, moves every record to store.db, then ends the thread. `isClean` is false when
   * records stay in the write-ahead log: the thread had died, or the disk is full, or another process reads the log.
   * Idempotent.
   */
  async close(): Promise<Closing> {
    if (this.#end === null) {
      this.#end = new Error('The store is closed.');
      if (this.#committing.length === 0) this.#send();
    }
    await this.#exited;
    return this.#closing;
  }

  /** Sends the next group. Ends the thread when the group is empty and the queue is closed. */
  #send(): void {
    this.#committing = this.#gathering;
    this.#gathering = [];
    const commands = this.#committing.map((waiting) => withoutMoved(waiting.command));
    if (commands.length > 0) this.#order({ kind: 'commit', commands }, buffersOf(commands));
    else if (this.#end !== null) this.#order({ kind: 'close' });
  }

  #order(order: WriterOrder, buffers: ArrayBuffer[] = []): void {
    this.#worker.postMessage(order, buffers);
  }

  #settle(outcomes: readonly Outcome[]): void {
    const settled = this.#committing;
    for (const outcome of outcomes) if ('rows' in outcome) this.#pictureBytes += outcome.pictureBytes;
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

/** The command; pictures whose buffer has moved to the thread with an earlier command have no bytes. */
function withoutMoved(command: Command): Command {
  const { pictures = [] } = command;
  if (pictures.every(({ size, bytes }) => bytes.length === size)) return command;
  const left = pictures.map((row) => (row.bytes.length === row.size ? row : { ...row, bytes: new Uint8Array(0) }));
  return { ...command, pictures: left };
}

/** The buffers of the pictures, each once: two commands of a group may have the same one. */
function buffersOf(commands: readonly Command[]): ArrayBuffer[] {
  const buffers = commands.flatMap(({ pictures = [] }) => pictures.map(({ bytes }) => bytes.buffer));
  return [...new Set(buffers)].filter(({ byteLength }) => byteLength > 0);
}

function storageFull(cause: Error): DarkroomError {
  return new DarkroomError('STORAGE_FULL', 'The disk is full; the task record was not written.', { cause });
}
