import { hash } from 'node:crypto';
import { debuglog } from 'node:util';
import { bytesAccess, openRandomAccess, type RandomAccess } from '../probe/random-access.ts';
import type { Spool } from '../spool/spool.ts';
import type { SpoolFile, SpoolFileKind } from '../spool/spool-file.ts';
import type { PictureRow } from '../store/statements.ts';
import { GatheredBytes } from './gathered-bytes.ts';

/**
 * The most bytes of a picture that is stored with its record; a larger one is a file. Below it, the system calls for a
 * file of its own cost more than the bytes.
 */
export const SMALL_PICTURE_BYTES = 128 * 1024;

/** Traces uploads: `NODE_DEBUG=darkroom-intake`. */
const trace = debuglog('darkroom-intake');

type State = 'open' | 'sealed' | 'placed' | 'kept' | 'discarded';

/**
 * A picture that is being received. It is gathered in memory, and goes on as a file in the spool when it is too large to
 * be stored with its record. {@link discard} removes it at any time before its owner calls {@link keep}.
 */
export class NewPicture {
  #name: string;
  readonly #spool: Spool;
  readonly #kind: SpoolFileKind;
  readonly #gathered = new GatheredBytes();
  #file: SpoolFile | null = null;
  /** Of the gathered picture; a file has its own. */
  #state: State = 'open';
  #bytes = 0;
  #sha256 = '';

  constructor(spool: Spool, kind: SpoolFileKind) {
    this.#spool = spool;
    this.#kind = kind;
    this.#name = spool.newName();
  }

  /** The picture's name; temporary until {@link place}. */
  get name(): string {
    return this.#file?.name ?? this.#name;
  }

  /** True while the picture is to be stored with its record. */
  get isSmall(): boolean {
    return this.#file === null;
  }

  /** Bytes written. */
  get bytes(): number {
    return this.#file?.bytes ?? this.#bytes;
  }

  /** SHA-256 of the bytes, in hexadecimal; empty until the picture is sealed. */
  get sha256(): string {
    return this.#file?.sha256 ?? this.#sha256;
  }

  /**
   * Appends a chunk. A promise resolves when the next chunk may come; without one it may come at once. Rejects with
   * STORAGE_FULL when the disk is full.
   */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#file !== null) return this.#file.write(chunk);
    if (this.#bytes + chunk.length > SMALL_PICTURE_BYTES) return this.#writeToNewFile(chunk);
    this.#expect('open');
    this.#gathered.add(chunk);
    this.#bytes += chunk.length;
    this.#spool.count(chunk.length);
    return undefined;
  }

  /** The bytes so far, for reading before the next write. */
  async access(): Promise<RandomAccess> {
    if (this.#file === null) return bytesAccess(this.#gathered.join());
    await this.#file.flush();
    return openRandomAccess(this.#file.handle);
  }

  /** Ends the picture; a file is on disk when this resolves. Throws STORAGE_FULL when the disk is full. */
  async seal(): Promise<void> {
    if (this.#file !== null) return this.#file.seal();
    this.#expect('open');
    this.#sha256 = hash('sha256', this.#gathered.join());
    this.#become('sealed');
  }

  /**
   * Gives the sealed picture its name. A file has it, durably, when this resolves; a small picture is durable when the
   * rows that this gives are written with its record, to which it is handed over.
   */
  async place(name: string): Promise<PictureRow[]> {
    if (this.#file !== null) {
      await this.#file.moveTo(name);
      return [];
    }
    this.#expect('sealed');
    if (trace.enabled && this.#kind === 'input') trace('%s placed as %s', this.#name, name);
    this.#name = name;
    this.#state = 'placed';
    return [{ name, size: this.#bytes, bytes: this.#gathered.take() }];
  }

  /** Hands the picture over to its record, which is written; {@link discard} no longer removes it. */
  keep(): void {
    if (this.#file !== null) {
      this.#file.keep();
      return;
    }
    this.#expect('placed');
    this.#leave('kept');
  }

  /** Removes the picture unless it is kept. Idempotent. */
  async discard(): Promise<void> {
    if (this.#file !== null) return this.#file.discard();
    if (this.#state !== 'kept' && this.#state !== 'discarded') this.#leave('discarded');
  }

  /** The store counts a picture that is kept. */
  #leave(state: 'kept' | 'discarded'): void {
    this.#become(state);
    this.#leaveMemory();
  }

  #leaveMemory(): void {
    this.#gathered.clear();
    this.#spool.count(-this.#bytes);
  }

  async #writeToNewFile(chunk: Uint8Array): Promise<void> {
    this.#expect('open');
    const file = await this.#spool.create(this.#kind, this.#name);
    // A discard while the file was made knew nothing of it.
    if (this.#state !== 'open') await file.discard();
    this.#expect('open');
    const gathered = this.#gathered.take();
    this.#leaveMemory();
    this.#file = file;
    if (gathered.length > 0) await file.write(gathered);
    await file.write(chunk);
  }

  #become(state: State): void {
    this.#state = state;
    if (trace.enabled && this.#kind === 'input') trace('%s %s, %d bytes', this.#name, state, this.#bytes);
  }

  #expect(state: State): void {
    if (this.#state !== state) throw new Error(`Expected a picture that is ${state}, received one ${this.#state}`);
  }
}
