import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { debuglog } from 'node:util';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { failpointAfter } from '../../shared/failpoint.ts';

/** What became of a file that was to go: it went, was not there, or stayed, which has been logged or was asked for. */
export type Removal = 'removed' | 'missing' | 'stayed';

/** What a spool file tells the spool it lies in. */
export interface SpoolFolder {
  /** Counts bytes that came to the disk, or left it when negative. */
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

/** Follows uploads: `NODE_DEBUG=darkroom-intake`. */
const trace = debuglog('darkroom-intake');
/** Bytes gathered before they are written: each write is a trip to another thread and back. */
const WRITE_BYTES = 256 * 1024;

/** What a file is for, and the failpoints after its durable steps. */
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
 * A file on its way into the spool. It lies under a temporary name until {@link moveTo}, and counts for nothing until
 * its owner calls {@link keep}; {@link discard} removes it at any moment before that.
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

  /** `path` has been opened anew, for reading and writing, as `handle`. */
  constructor(spool: SpoolFolder, path: string, handle: FileHandle, kind: SpoolFileKind) {
    this.#spool = spool;
    this.#path = path;
    this.#handle = handle;
    this.#kind = kind;
  }

  /** The open file, until it is sealed; it holds what has been flushed. */
  get handle(): FileHandle {
    return this.#handle;
  }

  /** The file's name in the spool, which is a temporary one until {@link moveTo}. */
  get name(): string {
    return basename(this.#path);
  }

  /** Bytes written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of the bytes, in hexadecimal; empty until the file is sealed. */
  get sha256(): string {
    return this.#sha256;
  }

  /** Appends; the chunk is kept until it is flushed, now or later. Throws STORAGE_FULL when the disk is full. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#expect('open');
    this.#bytes += chunk.length;
    this.#spool.count(chunk.length);
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    const written = this.#gatheredBytes < WRITE_BYTES ? undefined : this.flush();
    // Hashed here while another thread writes.
    this.#hash.update(chunk);
    await written;
  }

  /** Writes what has been gathered. Throws STORAGE_FULL when the disk is full. */
  async flush(): Promise<void> {
    const chunks = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (chunks.length > 0) await tellFull(() => this.#writeAll(chunks));
  }

  /** The bytes are all there: fsync and close. Throws STORAGE_FULL when the disk is full. */
  async seal(): Promise<void> {
    this.#expect('open');
    const { written, synced } = FAILPOINTS[this.#kind];
    await failpointAfter(this.flush(), written);
    await failpointAfter(
      tellFull(() => this.#handle.sync()),
      synced,
    );
    await this.#handle.close();
    this.#sha256 = this.#hash.digest('hex');
    if (this.#state !== 'open') return;
    this.#state = 'sealed';
    this.#trace('sealed');
  }

  /** Gives a sealed file its name in the spool, durably. */
  async moveTo(name: string): Promise<void> {
    this.#expect('sealed');
    const { renamed, placed } = FAILPOINTS[this.#kind];
    const temporary = this.#path;
    const target = this.#spool.path(name);
    await failpointAfter(
      tellFull(() => this.#spool.rename(temporary, target)),
      renamed,
    );
    this.#path = target;
    // Whoever discarded it meanwhile has removed the old name only.
    if (this.#state !== 'sealed') await this.#spool.unlink(target);
    this.#expect('sealed');
    await failpointAfter(
      tellFull(() => this.#spool.sync()),
      placed,
    );
    this.#expect('sealed');
    this.#state = 'placed';
    if (trace.enabled && this.#kind === 'input') trace('%s placed as %s', basename(temporary), name);
  }

  /** The file has an owner now; it is no longer this object's to remove. */
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
    // A write may take less than it was given (writev(2)).
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

/** What `work` gives; ENOSPC and EDQUOT (errno(3)) become STORAGE_FULL. */
export async function tellFull<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    const message = `Expected room on disk for the picture, received a full disk (${code})`;
    throw new DarkroomError('STORAGE_FULL', message, { cause: error });
  }
}
