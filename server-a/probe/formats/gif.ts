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
/** Bytes of the longest block up to its sub-blocks: a descriptor, 256 colours, the LZW code size. */
const MOST_HEAD_BYTES = DESCRIPTOR_BYTES + 3 * 256 + 1;
/** The longest LZW code, in bits. */
const MOST_CODE_BITS = 12;

/**
 * Canvas sizes that libnsgif takes for the author's screen and not the picture's size; like those with a side of 0 or
 * above 2048 they give way to the first frame's (libnsgif, `nsgif_data_scan`).
 */
const SCREENS: ReadonlySet<string> = new Set(['640×480', '640×512', '800×600', '1024×768', '1280×1024', '1600×1200']);
const MOST_CANVAS = 2048;

/** An image or an extension, up to its sub-blocks. */
interface Block {
  /** Where its sub-blocks begin. */
  readonly next: number;
  /** Undefined for an extension. */
  readonly frame: Frame | undefined;
  /** A graphic control extension that makes a colour of the next frame transparent. */
  readonly transparent: boolean;
}

interface Frame {
  /** Pixels from the canvas's left and top edge to the frame's right and bottom one. */
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
 * Walks a GIF's blocks and counts the frames that are there (GIF89a, appendix B), by libnsgif's rules, since libvips
 * reads GIF with it: the first frame may enlarge the canvas, and a last frame that is cut short counts when a byte of
 * its data has come. Throws IMAGE_CORRUPT when there is no frame.
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
 * Counts the frames from `start` on; undefined when there is none. Written to await once a window and not once a block,
 * as tens of millions of blocks fit into one upload.
 */
async function readAnimation(reader: ByteReader, start: number): Promise<Animation | undefined> {
  let animation: Animation | undefined;
  let transparent = false;
  let offset: number | undefined = start;
  while (offset !== undefined) {
    if (!reader.has(offset, MOST_HEAD_BYTES)) await load(reader, offset);
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
  // What a cut first frame leaves undrawn is transparent.
  if (!before) return { first: frame, frames: 1, alpha: transparent || isCut, interlaced: frame.interlaced };
  const { first, frames, alpha, interlaced } = before;
  return { first, frames: frames + 1, alpha: alpha || transparent, interlaced: interlaced || frame.interlaced };
}

function readCanvas(reader: ByteReader): { width: number; height: number } {
  const width = reader.u16(6, true);
  const height = reader.u16(8, true);
  const believed = Math.min(width, height) > 0 && Math.max(width, height) <= MOST_CANVAS;
  return believed && !SCREENS.has(`${width}×${height}`) ? { width, height } : { width: 1, height: 1 };
}

/** Bytes of the colour table that a packed field announces; none without its flag. */
function colourTableBytes(packed: number): number {
  return packed & 0x80 ? 3 * (2 << (packed & 0x07)) : 0;
}

/** Makes the next block's head available as far as the file has it: a GIF that ends early is read as far as it goes. */
async function load(reader: ByteReader, offset: number): Promise<void> {
  const length = Math.min(MOST_HEAD_BYTES, reader.size - offset);
  if (length > 0) await reader.need(offset, length, 'a GIF block');
}

/** The block at `offset`; null for the trailer, for what is no block, and where too little of one is there. */
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
  if (!reader.has(codeBits, 1) || reader.u8(codeBits) >= MOST_CODE_BITS) return null;
  return { next: codeBits + 1, frame: { right, bottom, interlaced: (packed & 0x40) !== 0 }, transparent: false };
}
