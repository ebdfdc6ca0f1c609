import type { Size } from '../../shared/operations/format.ts';

// libnsgif, which libvips reads GIF with, takes some canvas sizes for the author's screen and uses the size of the first
// frame instead (`nsgif_data_scan`); libvips drops the alpha channel of a GIF without a transparent colour, so that pixels
// that no frame draws get a colour. A transparent frame as large as the canvas, put before all others, mends both. And
// libnsgif replaces a removed frame by the background colour, unless that frame has a transparent colour (`nsgif__restore_bg`).

/** The header and the logical screen (GIF89a, section 18). */
const SCREEN_BYTES = 13;
/** The smallest LZW code size that GIF allows, in bits; its first two codes are colours (GIF89a, appendix F). */
const CODE_BITS = 2;
const CLEAR = 1 << CODE_BITS;
const END = CLEAR + 1;
/** Codes are 12 bits at most. */
const MAX_CODES = 4096;
const MAX_SUB_BLOCK_BYTES = 255;
const MAX_COLOURS = 256;
/** Block introducers and labels (GIF89a, appendix A). */
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const GRAPHIC_CONTROL = 0xf9;
/** The packed field of a graphic control: disposal 2, restore to background; no transparent colour (section 23). */
const REMOVED = 2 << 2;

/**
 * The GIF with a transparent first frame of `canvas` pixels added, so that it has one frame more. Frames that are removed
 * after their time leave transparent pixels, except those with 256 colours, which have no index left for one more.
 */
export function completeCanvas(gif: Uint8Array, canvas: Size): Uint8Array<ArrayBuffer> {
  return addBlankFrame(withTransparentRemovals(gif), canvas);
}

/** The GIF with a transparent first frame of `canvas` pixels added. */
export function addBlankFrame(gif: Uint8Array, canvas: Size): Uint8Array<ArrayBuffer> {
  const start = SCREEN_BYTES + tableBytes(gif[10] ?? 0);
  const width = littleEndian(canvas.width);
  const height = littleEndian(canvas.height);
  const frame = [
    // Graphic control: left in place, colour 0 is transparent, no delay.
    ...[0x21, 0xf9, 4, 0b101, 0, 0, 0, 0],
    // Image at 0,0 with a table of two colours.
    ...[0x2c, 0, 0, 0, 0, ...width, ...height, 0x80, 0, 0, 0, 0, 0, 0],
    CODE_BITS,
    ...subBlocks(packCodes(blankCodes(canvas.width * canvas.height))),
  ];
  const before = gif.slice(0, start);
  before.set([...width, ...height], 6);
  return new Uint8Array(Buffer.concat([before, Uint8Array.from(frame), gif.subarray(start)]));
}

/** A copy in which each frame that is removed after its time has a transparent colour, beyond those of its table. */
function withTransparentRemovals(gif: Uint8Array): Uint8Array {
  const patched = Uint8Array.from(gif);
  let control = 0;
  for (let at = SCREEN_BYTES + tableBytes(gif[10] ?? 0); at < gif.length; ) {
    if (gif[at] === IMAGE) {
      const packed = gif[at + 9] ?? 0;
      const colours = tableBytes(packed & 0x80 ? packed : (gif[10] ?? 0)) / 3;
      if (control > 0 && colours < MAX_COLOURS) {
        patched[control] = (gif[control] ?? 0) | 1;
        patched[control + 3] = MAX_COLOURS - 1;
      }
      control = 0;
      at = skipSubBlocks(gif, at + 10 + tableBytes(packed) + 1);
    } else if (gif[at] === EXTENSION) {
      const isRemoval = gif[at + 1] === GRAPHIC_CONTROL && ((gif[at + 3] ?? 0) & 0b11101) === REMOVED;
      if (isRemoval) control = at + 3;
      at = skipSubBlocks(gif, at + 2);
    } else {
      break;
    }
  }
  return patched;
}

/** The offset after a chain of sub-blocks. */
function skipSubBlocks(gif: Uint8Array, start: number): number {
  let at = start;
  for (let length = gif[at] ?? 0; length > 0; length = gif[at] ?? 0) at += 1 + length;
  return at + 1;
}

/** Bytes of the colour table in a packed field; 0 without its flag. */
function tableBytes(packed: number): number {
  return packed & 0x80 ? 3 * (2 << (packed & 0x07)) : 0;
}

/** A code and its width in bits. */
interface Code {
  readonly code: number;
  readonly bits: number;
}

/** LZW codes of `pixels` pixels of colour 0: each code after the first stands for one pixel more than the one before. */
function* blankCodes(pixels: number): Generator<Code> {
  let left = pixels;
  while (left > 0) {
    yield { code: CLEAR, bits: CODE_BITS + 1 };
    let bits = CODE_BITS + 1;
    // The decoder adds a code with each code that it reads after the first.
    for (let run = 1; left > 0 && END + run < MAX_CODES; run += 1) {
      const length = Math.min(run, left);
      yield { code: length === 1 ? 0 : END + length - 1, bits };
      left -= length;
      if (END + run >= 1 << bits && bits < 12) bits += 1;
    }
    if (left === 0) yield { code: END, bits };
  }
}

/** Codes as bytes, the lowest bit first. */
function packCodes(codes: Iterable<Code>): number[] {
  const packed: number[] = [];
  let buffer = 0;
  let filled = 0;
  for (const { code, bits } of codes) {
    buffer |= code << filled;
    filled += bits;
    for (; filled >= 8; filled -= 8, buffer >>>= 8) packed.push(buffer & 0xff);
  }
  if (filled > 0) packed.push(buffer & 0xff);
  return packed;
}

/** Bytes in blocks of at most 255, each after its length, with an empty block at the end. */
function subBlocks(data: readonly number[]): number[] {
  const blocks: number[] = [];
  for (let at = 0; at < data.length; at += MAX_SUB_BLOCK_BYTES) {
    const block = data.slice(at, at + MAX_SUB_BLOCK_BYTES);
    blocks.push(block.length, ...block);
  }
  return [...blocks, 0];
}

function littleEndian(value: number): [number, number] {
  return [value & 0xff, value >> 8];
}
