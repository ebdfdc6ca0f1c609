import { EventEmitter, once } from 'node:events';
import type { Job, JobFiles, OutputFile } from '../../server-a/dispatch/contract.ts';

/** Files that block a lane's reads and writes until a test releases them. */
export class SlowFiles implements JobFiles {
  /** The pieces of each input. */
  pieces: readonly Buffer[];
  /** The memory that each input was to be read into. */
  readonly buffers: Uint8Array[] = [];
  readonly #changes = new EventEmitter();
  #isWriting = true;
  #isReading = true;
  #problem: Error | null = null;
  #read = 0;
  #isInputClosed = false;
  #created = 0;
  #bytes = 0;

  constructor(pieces: readonly Buffer[]) {
    this.pieces = pieces;
  }

  /** From now on, creating an output file and writing to it wait. */
  holdWrites(): void {
    this.#isWriting = false;
  }

  /** From now on, an input gives its first piece and then waits. */
  holdInput(): void {
    this.#isReading = false;
  }

  goOnReading(): void {
    this.#isReading = true;
    this.#changes.emit('change');
  }

  release(): void {
    this.#isWriting = true;
    this.goOnReading();
  }

  /** From now on, every write fails, including one that waits. */
  failWrites(problem: Error): void {
    this.#problem = problem;
    this.release();
  }

  /** Number of pieces of inputs that were read. */
  get read(): number {
    return this.#read;
  }

  /** Resolves when `pieces` pieces of inputs have been read. */
  asked(pieces: number): Promise<void> {
    return this.#until(() => this.#read >= pieces);
  }

  async *readInput(_job: Job, buffer: Uint8Array): AsyncGenerator<Buffer> {
    this.buffers.push(buffer);
    try {
      for (const piece of this.pieces) {
        this.#read += 1;
        this.#changes.emit('change');
        yield piece;
        await this.#until(() => this.#isReading);
      }
    } finally {
      this.#isInputClosed = true;
      this.#changes.emit('change');
    }
  }

  /** Resolves when the input is no longer read. */
  inputClosed(): Promise<void> {
    return this.#until(() => this.#isInputClosed);
  }

  async createOutput(): Promise<OutputFile> {
    this.#created += 1;
    this.#changes.emit('change');
    await this.#until(() => this.#isWriting);
    return {
      write: async (chunk) => {
        this.#bytes += chunk.length;
        this.#changes.emit('change');
        await this.#until(() => this.#isWriting);
        if (this.#problem !== null) throw this.#problem;
      },
      commit: () => Promise.resolve('sha256'),
      discard: () => Promise.resolve(),
    };
  }

  /** Resolves when so many output files have been asked for. */
  created(count: number): Promise<void> {
    return this.#until(() => this.#created >= count);
  }

  /** Resolves when so many bytes have been given to be written. */
  given(bytes: number): Promise<void> {
    return this.#until(() => this.#bytes >= bytes);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#changes, 'change');
  }
}
