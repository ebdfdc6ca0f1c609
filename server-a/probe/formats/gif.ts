import type { ImageHeader } from '../../../shared/image-header.ts';
import type { ByteReader } from '../byte-reader.ts';
import { corrupt, imageHeader } from './image-header.ts';

/** Block introducers and labels (GIF89a, appendix A). */
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const GRAPHIC_CONTROL = 0xf9;
const COMMENT = 0xfe;

const SCREEN_BYTES = 13;
const DESCRIPTOR_BYTES = 10;
/** The most bytes of a block before its sub-blocks: a descriptor, 256 colours, the LZW code size. */
const MAX_HEAD_BYTES = DESCRIPTOR_BYTES + 3 * 256 + 1;
/** The longest LZW code, in bits. */
const MAX_CODE_BITS = 12;

/**
 * Canvas sizes that libnsgif takes for the author's screen size. For them, and for a canvas with a side of 0 or above
 * 2048, it uses the size of the first frame instead (libnsgif, `nsgif_data_scan`).
 */
const SCREENS: ReadonlySet<string> = new Set(['640×480', '640×512', '800×600', '1024×768', '1280×1024', '1600×1200']);
const MAX_CANVAS = 2048;

/** The part of an image or an extension before its sub-blocks. */
interface Block {
  /** Offset of its sub-blocks. */
  readonly next: number;
  /** Undefined for an extension. */
  readonly frame: Frame | undefined;
  /** True for a graphic control extension that makes a colour of the next frame transparent. */
  readonly transparent: boolean;
}

interface Frame {
  /** Pixels from the canvas's left and top edges to the frame's right and bottom edges. */
  readonly right: number;
  readonly bottom: number;
  readonly interlaced: boolean;
}

interface Animation {
  readonly first: Frame;
  readonly frames: number;
  readonly alpha: boolean;
  readonly interlaced: boolean;
}

/**
 * Walks a GIF's blocks and counts its frames (GIF89a, appendix B) by the rules of libnsgif, which libvips uses: the
 * first frame may enlarge the canvas, and a truncated last frame counts when one byte of its data exists. Throws
 * IMAGE_CORRUPT when there is no frame.
 */
export async function readGif(reader: ByteReader): Promise<ImageHeader> {
  await reader.need(0, SCREEN_BYTES, 'the GIF header');
  const canvas = readCanvas(reader);
  const animation = await readAnimation(reader, SCREEN_BYTES + colourTableBytes(reader.u8(10)));
  if (animation === undefined) throw corrupt('at least one frame', 'the GIF', 'none');
  const { first, frames, alpha, interlaced } = animation;
  const width = Math.max(canvas.width, first.right);
  const height = Math.max(canvas.height, first.bottom);
  return imageHeader({ format: 'gif', width, height, frames, channels: alpha ? 4 : 3, alpha, progressive: interlaced });
}

/**
 * Counts the frames from `start` on; undefined when there is none. Awaits once for each window and not for each block,
 * because an upload can have tens of millions of blocks.
 */
async function readAnimation(reader: ByteReader, start: number): Promise<Animation | undefined> {
  let animation: Animation | undefined;
  let transparent = false;
  let offset: number | undefined = start;
  while (offset !== undefined) {
    if (!reader.has(offset, MAX_HEAD_BYTES)) await load(reader, offset);
    const block = readBlock(reader, offset);
    if (block === null) break;
    offset = skipInWindow(reader, block.next) ?? (await skipSubBlocks(reader, block.next));
    const isCut = offset === undefined;
    if (block.frame === undefined) {
      transparent ||= block.transparent;
    } else if (!isCut || block.next + 1 < reader.size) {
      animation = addFrame(animation, block.frame, transparent, isCut);
      transparent = false;
    }
  }
  return animation;
}

/** The offset after a chain of sub-blocks; undefined when the window ends first. */
function skipInWindow(reader: ByteReader, start: number): number | undefined {
  let offset = start;
  while (reader.has(offset, 1)) {
    const length = reader.u8(offset);
    offset += 1 + length;
    if (length === 0) return offset;
  }
  return undefined;
}

/** The offset after a chain of sub-blocks; undefined when the file ends first. */
async function skipSubBlocks(reader: ByteReader, start: number): Promise<number | undefined> {
  let offset = start;
  while (offset < reader.size) {
    if (!reader.has(offset, 1)) await load(reader, offset);
    const length = reader.u8(offset);
    offset += 1 + length;
    if (length === 0) return offset;
  }
  return undefined;
}

function addFrame(before: Animation | undefined, frame: Frame, transparent: boolean, isCut: boolean): Animation {
  // The missing part of a truncated first frame is transparent.
  if (!before) return { first: frame, frames: 1, alpha: transparent || isCut, interlaced: frame.interlaced };
  const { first, frames, alpha, interlaced } = before;
  return { first, frames: frames + 1, alpha: alpha || transparent, interlaced: interlaced || frame.interlaced };
}

function readCanvas(reader: ByteReader): { width: number; height: number } {
  const width = reader.u16(6, true);
  const height = reader.u16(8, true);
  const isPlausible = Math.min(width, height) > 0 && Math.max(width, height) <= MAX_CANVAS;
  return isPlausible && !SCREENS.has(`${width}×${height}`) ? { width, height } : { width: 1, height: 1 };
}

/** Bytes of the colour table in a packed field; 0 without its flag. */
function colourTableBytes(packed: number): number {
  return packed & 0x80 ? 3 * (2 << (packed & 0x07)) : 0;
}

/** Makes the next block's head available, or its first part when the file is truncated. */
async function load(reader: ByteReader, offset: number): Promise<void> {
  const length = Math.min(MAX_HEAD_BYTES, reader.size - offset);
  if (length > 0) await reader.need(offset, length, 'a GIF block');
}

/** The block at `offset`; null for the trailer, an unknown block, and a truncated one. */
function readBlock(reader: ByteReader, offset: number): Block | null {
  if (!reader.has(offset, 2)) return null;
  if (reader.u8(offset) === EXTENSION) return readExtension(reader, offset);
  return reader.u8(offset) === IMAGE ? readDescriptor(reader, offset) : null;
}

function readExtension(reader: ByteReader, offset: number): Block | null {
  const label = reader.u8(offset + 1);
  if (label === COMMENT) return { next: offset + 2, frame: undefined, transparent: false };
  if (!reader.has(offset, label === GRAPHIC_CONTROL ? 7 : 3)) return null;
  const transparent = label === GRAPHIC_CONTROL && (reader.u8(offset + 3) & 0x01) !== 0;
  return { next: offset + 3 + reader.u8(offset + 2), frame: undefined, transparent };
}

function readDescriptor(reader: ByteReader, offset: number): Block | null {
  if (!reader.has(offset, DESCRIPTOR_BYTES)) return null;
  const right = reader.u16(offset + 1, true) + reader.u16(offset + 5, true);
  const bottom = reader.u16(offset + 3, true) + reader.u16(offset + 7, true);
  const packed = reader.u8(offset + 9);
  const codeBits = offset + DESCRIPTOR_BYTES + colourTableBytes(packed);
  if (!reader.has(codeBits, 1) || reader.u8(codeBits) >= MAX_CODE_BITS) return null;
  return { next: codeBits + 1, frame: { right, bottom, interlaced: (packed & 0x40) !== 0 }, transparent: false };
}
