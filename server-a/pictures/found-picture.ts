import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { DarkroomError, systemCode } from '../../shared/errors.ts';

/** The first and the last byte of a part, both included. */
export interface PictureRange {
  readonly start: number;
  readonly end: number;
}

/** A stored picture that can be read, wherever it is. */
export interface FoundPicture {
  /** In bytes. */
  readonly size: number;
  /**
   * The bytes of a range, for an answer: all in memory, or a stream that must be read or destroyed. Throws SPOOL_CORRUPT
   * when they have been removed meanwhile.
   */
  body(range: PictureRange): Promise<Buffer | Readable>;
  /**
   * All bytes in pieces of at most `pieceBytes` bytes, which must be read or destroyed. Throws SPOOL_CORRUPT like
   * {@link body}.
   */
  stream(pieceBytes: number): Promise<Readable>;
}

/** A picture that was stored with its record. Its bytes are in memory, so that no removal can take them away. */
export class PictureInMemory implements FoundPicture {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  async body({ start, end }: PictureRange): Promise<Buffer> {
    return this.#bytes.subarray(start, end + 1);
  }

  async stream(pieceBytes: number): Promise<Readable> {
    return Readable.from(this.pieces(pieceBytes), { objectMode: false });
  }

  /** All bytes in pieces of at most `pieceBytes` bytes, without a stream. */
  async *pieces(pieceBytes: number): AsyncGenerator<Buffer> {
    for (let start = 0; start < this.size; start += pieceBytes) yield this.#bytes.subarray(start, start + pieceBytes);
  }
}

/** A picture that is a file. */
export class PictureFile implements FoundPicture {
  readonly size: number;
  readonly #path: string;

  constructor(path: string, size: number) {
    this.#path = path;
    this.size = size;
  }

  async body({ start, end }: PictureRange): Promise<Readable> {
    return (await this.#open()).createReadStream({ start, end });
  }

  async stream(pieceBytes: number): Promise<Readable> {
    return (await this.#open()).createReadStream({ highWaterMark: pieceBytes });
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.#path);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      throw new DarkroomError('SPOOL_CORRUPT', 'The stored picture is missing on disk.', { cause: error });
    }
  }
}
