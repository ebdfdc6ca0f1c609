/**
 * A Huffman table as a lookup: for the next 16 bits the length of the code that they begin with, times 256, plus its
 * symbol; 0 where no code fits.
 */
export type HuffmanTable = Uint16Array;

/** The tables of one block: one for its DC difference, one for its AC coefficients. */
export interface BlockTables {
  readonly dc: HuffmanTable;
  readonly ac: HuffmanTable;
}

/** Longest code in bits, and bits of the lookup's index. */
const MAX_BITS = 16;
/** Coefficients in a block. */
const COEFFICIENTS = 64;

/**
 * A table from the numbers of codes of each length, 1 to 16 bits, and their symbols (ITU-T T.81, annex C). Gives null
 * when there are more codes than bits allow.
 */
export function makeTable(lengths: Uint8Array, symbols: Uint8Array): HuffmanTable | null {
  const table = new Uint16Array(1 << MAX_BITS);
  let filled = 0;
  let next = 0;
  for (const [index, count] of lengths.entries()) {
    const length = index + 1;
    const span = 1 << (MAX_BITS - length);
    for (const symbol of symbols.subarray(next, next + count)) {
      if (filled + span > table.length) return null;
      table.fill((length << 8) | symbol, filled, filled + span);
      filled += span;
    }
    next += count;
  }
  return table;
}

/** Reads the bits of one interval of entropy-coded data, between two markers; 0x00 after 0xFF does not count. */
class BitReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #position: number;
  /** The next bits, in its lowest `#count` bits. */
  #bits = 0;
  #count = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  /** The next symbol; -1 when the data ends first or has no such code. */
  symbol(table: HuffmanTable): number {
    if (this.#count < MAX_BITS) this.#fill();
    const spare = this.#count - MAX_BITS;
    const next = (spare >= 0 ? this.#bits >>> spare : this.#bits << -spare) & 0xffff;
    const entry = table[next] ?? 0;
    const length = entry >>> 8;
    if (length === 0 || length > this.#count) return -1;
    this.#count -= length;
    return entry & 0xff;
  }

  /** Skips at most 16 bits. False when the data ends first. */
  skip(bits: number): boolean {
    if (this.#count < bits) this.#fill();
    if (this.#count < bits) return false;
    this.#count -= bits;
    return true;
  }

  /** The offset from which only zero bytes follow to the end; null when other bytes follow. */
  get zerosFrom(): number | null {
    const unread = this.#count >> 3;
    if (unread > 0 && this.#bits << (32 - 8 * unread) !== 0) return null;
    for (let offset = this.#position; offset < this.#end; offset += 1) {
      if (this.#bytes[offset] !== 0) return null;
    }
    return Math.min(this.#position, this.#end) - unread;
  }

  #fill(): void {
    while (this.#count <= 24 && this.#position < this.#end) {
      const byte = this.#bytes[this.#position] ?? 0;
      this.#position += byte === 0xff ? 2 : 1;
      this.#bits = (this.#bits << 8) | byte;
      this.#count += 8;
    }
  }
}

/** What an interval of entropy-coded data has after its last block. */
export interface IntervalEnd {
  /** Offset from which only zero bytes follow; null when other bytes follow. */
  readonly zerosFrom: number | null;
}

/**
 * Reads `units` minimum coded units of sequential coding (ITU-T T.81, annex F) between two offsets, each with a block
 * for each entry of `unit`. Gives null when the data ends too early, has an invalid code or too many coefficients.
 */
export function readInterval(
  body: Uint8Array,
  start: number,
  end: number,
  unit: readonly BlockTables[],
  units: number,
): IntervalEnd | null {
  const bits = new BitReader(body, start, end);
  for (let count = 0; count < units; count += 1) {
    for (const tables of unit) {
      if (!readBlock(bits, tables)) return null;
    }
  }
  return { zerosFrom: bits.zerosFrom };
}

function readBlock(bits: BitReader, { dc, ac }: BlockTables): boolean {
  const category = bits.symbol(dc);
  if (category < 0 || category > MAX_BITS || !bits.skip(category)) return false;
  for (let index = 1; index < COEFFICIENTS; index += 1) {
    const symbol = bits.symbol(ac);
    if (symbol < 0) return false;
    const zeros = symbol >> 4;
    const size = symbol & 0x0f;
    if (size === 0 && zeros < 15) return true;
    index += zeros;
    if (index >= COEFFICIENTS || !bits.skip(size)) return false;
  }
  return true;
}
