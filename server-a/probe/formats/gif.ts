import { STRAY_WINDOW, strayBytes } from '../../../shared/gif-stray.ts';
import type { ImageHeader } from '../../../shared/image-header.ts';
import type { ByteReader } from '../byte-reader.ts';
import { corrupt, imageHeader } from './image-header.ts';

/** Block introducers and labels (GIF89a, appendix A). */
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
const GRAPHIC_CONTROL = 0xf9;
const COMMENT = 0xfe;

const SCREEN_BYTES = 13;
const DESCRIPTOR_BYTES = 10;
/** The most bytes of a block before its sub-blocks: a descriptor, 256 colours, the LZW code size. */
const MAX_HEAD_BYTES = DESCRIPTOR_BYTES + 3 * 256 + 1;
/** The longest LZW code, in bits. */
const MAX_CODE_BITS = 12;

/** Disposal methods that show what lies under a frame (GIF89a, section 23). */
const TO_BACKGROUND = 2;
const TO_PREVIOUS = 3;

/** The part of an image or an extension before its sub-blocks. */
interface Block {
  /** Offset of its sub-blocks. */
  readonly next: number;
  /** Undefined for an extension. */
  readonly frame: Frame | undefined;
  /** Undefined for any block but a graphic control extension. */
  readonly control: Control | undefined;
}

/** What a graphic control extension says about the next frame. */
interface Control {
  readonly transparent: boolean;
  readonly disposal: number;
}

const NO_CONTROL: Control = { transparent: false, disposal: 0 };

interface Frame {
  readonly left: number;
  readonly top: number;
  /** Pixels from the canvas's left and top edges to the frame's right and bottom edges. */
  readonly right: number;
  readonly bottom: number;
  readonly interlaced: boolean;
}

interface Animation {
  readonly first: Frame;
  /** What controls the last frame. */
  readonly last: Control;
  readonly frames: number;
  /** True when a colour is transparent. */
  readonly alpha: boolean;
  /** True when a frame before the last uncovers pixels that no frame has drawn. */
  readonly uncovers: boolean;
  readonly interlaced: boolean;
}

/**
 * Walks a GIF's blocks and counts its frames (GIF89a, appendix B). As in browsers, the canvas has the size that the
 * header gives, the first frame may enlarge it, and pixels that no frame draws are transparent. A truncated last frame
 * counts when one byte of its data exists, as in libnsgif. Skips stray bytes between blocks, at which libnsgif ends and
 * which Server B removes. Throws IMAGE_CORRUPT when there is no frame.
 */
export async function readGif(reader: ByteReader): Promise<ImageHeader> {
  await reader.need(0, SCREEN_BYTES, 'the GIF header');
  const screen = { width: reader.u16(6, true), height: reader.u16(8, true) };
  const animation = await readAnimation(reader, SCREEN_BYTES + colourTableBytes(reader.u8(10)));
  if (animation === undefined) throw corrupt('at least one frame', 'the GIF', 'none');
  const { first, frames, interlaced } = animation;
  // Without one of its sides there is no canvas, only a first frame.
  const isEmpty = screen.width === 0 || screen.height === 0;
  const width = isEmpty ? first.right : Math.max(screen.width, first.right);
  const height = isEmpty ? first.bottom : Math.max(screen.height, first.bottom);
  const fills = first.left === 0 && first.top === 0 && first.right === width && first.bottom === height;
  const alpha = animation.alpha || animation.uncovers || !fills;
  return imageHeader({ format: 'gif', width, height, frames, channels: alpha ? 4 : 3, alpha, progressive: interlaced });
}

/**
 * Counts the frames from `start` on; undefined when there is none. Awaits once for each window and not for each block,
 * because an upload can have tens of millions of blocks.
 */
async function readAnimation(reader: ByteReader, start: number): Promise<Animation | undefined> {
  let animation: Animation | undefined;
  let control = NO_CONTROL;
  let offset: number | undefined = start;
  while (offset !== undefined) {
    if (!reader.has(offset, MAX_HEAD_BYTES)) await load(reader, offset);
    const block = readBlock(reader, offset);
    if (block === null) {
      offset = skipStray(reader, offset);
      continue;
    }
    offset = skipInWindow(reader, block.next) ?? (await skipSubBlocks(reader, block.next));
    const isCut = offset === undefined;
    if (block.frame === undefined) {
      control = addControl(control, block.control);
    } else if (!isCut || block.next + 1 < reader.size) {
      animation = addFrame(animation, block.frame, control, isCut);
      control = NO_CONTROL;
    }
  }
  return animation;
}

/** The offset of the next block after bytes that belong to none; undefined when none follows. */
function skipStray(reader: ByteReader, offset: number): number | undefined {
  if (!reader.has(offset, 1) || [EXTENSION, IMAGE, TRAILER].includes(reader.u8(offset))) return undefined;
  const stray = strayBytes(reader.bytes(offset, Math.min(STRAY_WINDOW, reader.size - offset)));
  return stray === null ? undefined : offset + stray;
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

function addFrame(before: Animation | undefined, frame: Frame, control: Control, isCut: boolean): Animation {
  // The missing part of a truncated first frame is transparent.
  if (!before) {
    const { interlaced } = frame;
    return { first: frame, last: control, frames: 1, alpha: control.transparent || isCut, uncovers: false, interlaced };
  }
  const { disposal } = before.last;
  return {
    first: before.first,
    last: control,
    frames: before.frames + 1,
    alpha: before.alpha || control.transparent,
    uncovers: before.uncovers || disposal === TO_BACKGROUND || (disposal === TO_PREVIOUS && before.frames === 1),
    interlaced: before.interlaced || frame.interlaced,
  };
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
  if (label === COMMENT) return { next: offset + 2, frame: undefined, control: undefined };
  if (!reader.has(offset, label === GRAPHIC_CONTROL ? 7 : 3)) return null;
  const control = label === GRAPHIC_CONTROL ? readControl(reader.u8(offset + 3)) : undefined;
  return { next: offset + 3 + reader.u8(offset + 2), frame: undefined, control };
}

function readControl(packed: number): Control {
  return { transparent: (packed & 0x01) !== 0, disposal: (packed >> 2) & 0x07 };
}

/** Two extensions before one frame: libnsgif keeps the transparent colour of the first. */
function addControl(before: Control, next: Control | undefined): Control {
  if (next === undefined) return before;
  return { transparent: before.transparent || next.transparent, disposal: next.disposal };
}

function readDescriptor(reader: ByteReader, offset: number): Block | null {
  if (!reader.has(offset, DESCRIPTOR_BYTES)) return null;
  const left = reader.u16(offset + 1, true);
  const top = reader.u16(offset + 3, true);
  const right = left + reader.u16(offset + 5, true);
  const bottom = top + reader.u16(offset + 7, true);
  const packed = reader.u8(offset + 9);
  const codeBits = offset + DESCRIPTOR_BYTES + colourTableBytes(packed);
  if (!reader.has(codeBits, 1) || reader.u8(codeBits) >= MAX_CODE_BITS) return null;
  const frame = { left, top, right, bottom, interlaced: (packed & 0x40) !== 0 };
  return { next: codeBits + 1, frame, control: undefined };
}
