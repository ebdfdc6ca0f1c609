import { corrupt } from './formats/image-header.ts';
import type { RandomAccess } from './random-access.ts';

/** Bytes read at once after a jump, enough for most headers. */
const MIN_AHEAD = 4096;
/** Most bytes read at once in sequence, so that millions of small blocks need only a few hundred reads. */
const MAX_AHEAD = 65_536;

/**
 * A window on a file. {@link need} moves it to the wanted bytes; the getters read it synchronously, so that a walk over
 * small blocks awaits once for each window and not for each block. All offsets count from the start of the file.
 */
export class ByteReader {
  readonly size: number;
  readonly #source: RandomAccess;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #start = 0;
  #ahead = MIN_AHEAD;

  constructor(source: RandomAccess) {
    this.#source = source;
    this.size = source.size;
  }

  /** True when the getters can read these bytes. */
  has(offset: number, length: number): boolean {
    return offset >= this.#start && offset + length <= this.#start + this.#view.byteLength;
  }

  /**
   * Makes `length` bytes at `offset` available. `length` must be small and checked when it comes from the file. Throws
   * IMAGE_CORRUPT, with `what` in the message, when the bytes exceed `end` (by default the file's end).
   */
  async need(offset: number, length: number, what: string, end = this.size): Promise<void> {
    const stop = Math.min(end, this.size);
    if (offset + length > stop) throw this.#tooShort(offset, length, what, stop);
    if (this.has(offset, length)) return;
    const follows = offset >= this.#start && offset <= this.#start + this.#view.byteLength;
    this.#ahead = follows ? Math.min(2 * this.#ahead, MAX_AHEAD) : MIN_AHEAD;
    const wanted = Math.min(Math.max(length, this.#ahead), this.size - offset);
    const bytes = await this.#source.read(offset, wanted);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = offset;
    if (bytes.byteLength < length) throw this.#tooShort(offset, length, what, offset + bytes.byteLength);
  }

  /** The unsigned byte at `offset`. */
  u8(offset: number): number {
    return this.#view.getUint8(offset - this.#start);
  }

  /** The unsigned 16-bit number at `offset`, big-endian unless `little`. */
  u16(offset: number, little = false): number {
    return this.#view.getUint16(offset - this.#start, little);
  }

  /** The unsigned 24-bit little-endian number at `offset`. */
  u24Little(offset: number): number {
    return this.u16(offset, true) + this.u8(offset + 2) * 0x1_0000;
  }

  /** The unsigned 32-bit number at `offset`, big-endian unless `little`. */
  u32(offset: number, little = false): number {
    return this.#view.getUint32(offset - this.#start, little);
  }

  /**
   * The unsigned 64-bit number at `offset`, big-endian unless `little`; inexact above 2⁵³, which is longer than any
   * file.
   */
  u64(offset: number, little = false): number {
    return Number(this.#view.getBigUint64(offset - this.#start, little));
  }

  /** The bytes as text, one character for each byte: for type codes and signatures. */
  latin1(offset: number, length: number): string {
    return String.fromCharCode(...this.bytes(offset, length));
  }

  /** The bytes themselves, valid until the next {@link need}. */
  bytes(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + offset - this.#start, length);
  }

  #tooShort(offset: number, length: number, what: string, end: number) {
    const left = Math.max(0, end - offset);
    return corrupt(`${length} bytes at offset ${offset}`, what, `${left} bytes`);
  }
}
