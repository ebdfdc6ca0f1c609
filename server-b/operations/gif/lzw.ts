import type { GrowingBytes } from './growing-bytes.ts';

// LZW as GIF uses it (GIF89a, appendix F), in sub-blocks. A hash table finds a string in one or two steps; a table of all
// possible strings, 2 MB, would have to be cleared for every 4096 codes, which takes most of the time for noise.

const MAX_CODES = 4096;
const SUB_BLOCK_BYTES = 255;
const HASH_SIZE = 16_384;
const HASH_MASK = HASH_SIZE - 1;
/** Spreads keys over the table (Knuth, The Art of Computer Programming, volume 3, section 6.4). */
const HASH_FACTOR = 0x9e3779b1;
const NONE = -1;

/** Compresses the pixels of one frame after another into a GIF's image data. */
export class Lzw {
  readonly #target: GrowingBytes;
  /** A string as its prefix's code and last index, and the code of that string. */
  readonly #keys = new Int32Array(HASH_SIZE);
  readonly #codes = new Uint16Array(HASH_SIZE);
  #clear = 0;
  #next = 0;
  #bits = 0;
  #prefix = NONE;
  #buffer = 0;
  #filled = 0;
  /** Where the length of the open sub-block stands. */
  #block = 0;

  constructor(target: GrowingBytes) {
    this.#target = target;
  }

  /** Begins a frame whose indexes have `depth` bits, at least 2. */
  begin(depth: number): void {
    this.#target.push(depth);
    this.#clear = 1 << depth;
    this.#prefix = NONE;
    this.#buffer = 0;
    this.#filled = 0;
    this.#block = this.#target.length;
    this.#target.push(0);
    this.#bits = depth + 1;
    this.#reset();
  }

  /** Adds the next indexes of the frame. */
  add(indexes: Uint8Array): void {
    const keys = this.#keys;
    let prefix = this.#prefix;
    for (let at = 0; at < indexes.length; at += 1) {
      const index = indexes[at] ?? 0;
      if (prefix === NONE) {
        prefix = index;
        continue;
      }
      const key = (prefix << 8) | index;
      let slot = (Math.imul(key, HASH_FACTOR) >>> 16) & HASH_MASK;
      while (keys[slot] !== key && keys[slot] !== NONE) slot = (slot + 1) & HASH_MASK;
      if (keys[slot] === key) {
        prefix = this.#codes[slot] ?? 0;
        continue;
      }
      this.#write(prefix);
      prefix = index;
      if (this.#next === MAX_CODES) {
        this.#reset();
        continue;
      }
      if (this.#next === 1 << this.#bits) this.#bits += 1;
      keys[slot] = key;
      this.#codes[slot] = this.#next;
      this.#next += 1;
    }
    this.#prefix = prefix;
  }

  /** Ends the frame. */
  end(): void {
    if (this.#prefix !== NONE) this.#write(this.#prefix);
    // The decoder adds a code after this one, too.
    if (this.#next === 1 << this.#bits && this.#bits < 12) this.#bits += 1;
    this.#write(this.#clear + 1);
    if (this.#filled > 0) this.#byte(this.#buffer);
    this.#closeBlock();
    if (this.#target.length > this.#block + 1) this.#target.push(0);
  }

  /** Tells the decoder to forget all strings, and forgets them. */
  #reset(): void {
    this.#write(this.#clear);
    this.#keys.fill(NONE);
    this.#next = this.#clear + 2;
    this.#bits = Math.log2(this.#clear) + 1;
  }

  #write(code: number): void {
    this.#buffer |= code << this.#filled;
    this.#filled += this.#bits;
    for (; this.#filled >= 8; this.#filled -= 8, this.#buffer >>>= 8) this.#byte(this.#buffer & 0xff);
  }

  #byte(byte: number): void {
    if (this.#target.length - this.#block > SUB_BLOCK_BYTES) {
      this.#closeBlock();
      this.#block = this.#target.length;
      this.#target.push(0);
    }
    this.#target.push(byte);
  }

  #closeBlock(): void {
    this.#target.set(this.#block, this.#target.length - this.#block - 1);
  }
}
