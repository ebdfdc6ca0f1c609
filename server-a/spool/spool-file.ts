import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { debuglog } from 'node:util';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { failpointAfter } from '../../shared/failpoint.ts';

/** The result of a removal. `stayed`: the removal failed and was logged, or the spool is preserved. */
export type Removal = 'removed' | 'missing' | 'stayed';

/** The spool as one of its files uses it. */
export interface SpoolFolder {
  /** Adds to the count of bytes in the spool; a negative number subtracts. */
  count(bytes: number): void;
  /** Absolute path of a name. */
  path(name: string): string;
  /** Renames between absolute paths. */
  rename(from: string, to: string): Promise<void>;
  /** Makes renames durable. */
  sync(): Promise<void>;
  /** Removes the file at an absolute path; does not reject. */
  unlink(path: string): Promise<Removal>;
}

/** Traces uploads: `NODE_DEBUG=darkroom-intake`. */
const trace = debuglog('darkroom-intake');
/** Bytes gathered before a write, because each write costs a round trip to another thread. */
const WRITE_BYTES = 256 * 1024;

/** The failpoints after the durable steps of each kind of file. */
const FAILPOINTS = {
  input: { written: 'input-written', synced: 'input-synced', renamed: 'input-renamed', placed: 'input-folder-synced' },
  output: {
    written: 'output-written',
    synced: 'output-synced',
    renamed: 'output-renamed',
    placed: 'output-folder-synced',
  },
} as const;

export type SpoolFileKind = keyof typeof FAILPOINTS;

type State = 'open' | 'sealed' | 'placed' | 'kept' | 'discarded';

/**
 * A file that is being written to the spool. It has a temporary name until {@link moveTo}. {@link discard} removes it
 * at any time before its owner calls {@link keep}.
 */
export class SpoolFile {
  readonly #spool: SpoolFolder;
  readonly #handle: FileHandle;
  readonly #kind: SpoolFileKind;
  readonly #hash = createHash('sha256');
  #path: string;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #bytes = 0;
  #sha256 = '';
  #state: State = 'open';

  /** `handle` is the new file at `path`, open for reading and writing. */
  constructor(spool: SpoolFolder, path: string, handle: FileHandle, kind: SpoolFileKind) {
    this.#spool = spool;
    this.#path = path;
    this.#handle = handle;
    this.#kind = kind;
  }

  /** The file, open until it is sealed; it contains the flushed bytes. */
  get handle(): FileHandle {
    return this.#handle;
  }

  /** The file's name in the spool; temporary until {@link moveTo}. */
  get name(): string {
    return basename(this.#path);
  }

  /** Bytes written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** SHA-256 of the bytes, in hexadecimal; empty until the file is sealed. */
  get sha256(): string {
    return this.#sha256;
  }

  /**
   * Appends a chunk and keeps it until a flush, now or later. A promise resolves when the next chunk may come; without
   * one it may come at once. Rejects with STORAGE_FULL when the disk is full.
   */
  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#expect('open');
    this.#bytes += chunk.length;
    this.#spool.count(chunk.length);
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    const written = this.#gatheredBytes < WRITE_BYTES ? undefined : this.flush();
    // Hash on this thread while another thread writes.
    this.#hash.update(chunk);
    return written;
  }

  /** Writes the gathered chunks. Throws STORAGE_FULL when the disk is full. */
  async flush(): Promise<void> {
    const chunks = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (chunks.length > 0) await orStorageFull(() => this.#writeAll(chunks));
  }

  /** Ends the file: flush, fsync and close. Throws STORAGE_FULL when the disk is full. */
  async seal(): Promise<void> {
    this.#expect('open');
    const { written, synced } = FAILPOINTS[this.#kind];
    await failpointAfter(this.flush(), written);
    await failpointAfter(
      orStorageFull(() => this.#handle.sync()),
      synced,
    );
    await this.#handle.close();
    this.#sha256 = this.#hash.digest('hex');
    if (this.#state !== 'open') return;
    this.#state = 'sealed';
    this.#trace('sealed');
  }

  /** Renames a sealed file to its name in the spool, durably. */
  async moveTo(name: string): Promise<void> {
    this.#expect('sealed');
    const { renamed, placed } = FAILPOINTS[this.#kind];
    const temporary = this.#path;
    const target = this.#spool.path(name);
    await failpointAfter(
      orStorageFull(() => this.#spool.rename(temporary, target)),
      renamed,
    );
    this.#path = target;
    // A discard during the rename has removed only the old name.
    if (this.#state !== 'sealed') await this.#spool.unlink(target);
    this.#expect('sealed');
    await failpointAfter(
      orStorageFull(() => this.#spool.sync()),
      placed,
    );
    this.#expect('sealed');
    this.#state = 'placed';
    if (trace.enabled && this.#kind === 'input') trace('%s placed as %s', basename(temporary), name);
  }

  /** Hands the file over to a record; {@link discard} no longer removes it. */
  keep(): void {
    this.#expect('placed');
    this.#state = 'kept';
    this.#trace('kept');
  }

  /** Closes and removes the file unless it is kept. Idempotent. */
  async discard(): Promise<void> {
    if (this.#state === 'kept' || this.#state === 'discarded') return;
    this.#state = 'discarded';
    this.#trace('discarded');
    await this.#handle.close();
    if ((await this.#spool.unlink(this.#path)) !== 'stayed') this.#spool.count(-this.#bytes);
  }

  async #writeAll(chunks: Uint8Array[]): Promise<void> {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const { bytesWritten } = await this.#handle.writev(chunks);
    if (bytesWritten === length) return;
    // writev(2) may write less than all.
    const rest = Buffer.concat(chunks);
    for (let done = bytesWritten; done < length; ) {
      done += (await this.#handle.write(rest, done, length - done)).bytesWritten;
    }
  }

  #trace(state: State): void {
    if (trace.enabled && this.#kind === 'input') trace('%s %s, %d bytes', this.name, state, this.#bytes);
  }

  #expect(state: State): void {
    if (this.#state !== state) throw new Error(`Expected a spool file that is ${state}, received one ${this.#state}`);
  }
}

/** Runs `work`. Throws STORAGE_FULL for ENOSPC and EDQUOT (errno(3)). */
export async function orStorageFull<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    throw new DarkroomError('STORAGE_FULL', `The disk is full (${code}); the picture was not written.`, {
      cause: error,
    });
  }
}
