import { STRAY_WINDOW, strayBytes } from '../../../shared/gif-stray.ts';
import { counted, DAMAGED, type Edit, type Examination } from './edits.ts';
import { findLastPixel } from './lzw.ts';

/** Block introducers (GIF89a, appendix A). */
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
const GRAPHIC_CONTROL = 0xf9;
/** Bytes of the data in a graphic control extension. */
const GRAPHIC_CONTROL_BYTES = 4;
/** The most bytes from the last pixel to the next block: the end code, a sub-block's length, the terminator. */
const MAX_TAIL_BYTES = 5;
const SCREEN_BYTES = 13;
const DESCRIPTOR_BYTES = 10;

/**
 * Finds stray bytes between the blocks of a GIF, at which libnsgif ends, and whether every frame has all its pixels. A
 * missing trailer is no damage: libnsgif does not need it.
 */
export function examineGif(body: Uint8Array): Examination {
  const edits: Edit[] = [];
  let stray = 0;
  let offset = SCREEN_BYTES + colourTableBytes(body[10]);
  while (offset < body.length && body[offset] !== TRAILER) {
    const introducer = body[offset];
    if (introducer === EXTENSION || introducer === IMAGE) {
      const next = introducer === IMAGE ? readImage(body, offset) : readExtension(body, offset);
      if (next === null) return DAMAGED;
      offset = next;
      continue;
    }
    const remove = strayBytes(body.subarray(offset, offset + STRAY_WINDOW));
    if (remove === null) break;
    edits.push({ at: offset, remove, insert: new Uint8Array() });
    stray += remove;
    offset += remove;
  }
  const warnings = stray === 0 ? [] : [`Removed ${counted(stray, 'stray byte')} between GIF blocks.`];
  return { edits, warnings, pixels: 'whole' };
}

/**
 * True when a GIF ends inside a block and pixels are missing. libnsgif draws what there is of a cut frame, and gives no
 * error unless it is the first one. A missing trailer is no cut, and neither is a missing end of a frame with all pixels.
 */
export function isCut(body: Uint8Array): boolean {
  let offset = SCREEN_BYTES + colourTableBytes(body[10]);
  let announcesFrame = false;
  while (offset < body.length) {
    const introducer = body[offset];
    if (introducer !== EXTENSION && introducer !== IMAGE) {
      const stray = introducer === TRAILER ? null : strayBytes(body.subarray(offset, offset + STRAY_WINDOW));
      if (stray === null) return false;
      offset += stray;
      continue;
    }
    const end = skipSubBlocks(body, introducer === IMAGE ? dataOf(body, offset) + 1 : offset + 2);
    if (end === null) return introducer === EXTENSION || lastPixelOf(body, offset) === null;
    announcesFrame = introducer === EXTENSION && (announcesFrame || body[offset + 1] === GRAPHIC_CONTROL);
    offset = end;
  }
  return announcesFrame;
}

/** The offset after an image; null when pixels are missing or it is damaged. */
function readImage(body: Uint8Array, start: number): number | null {
  const last = lastPixelOf(body, start);
  const end = skipSubBlocks(body, dataOf(body, start) + 1);
  // A damaged length of a sub-block joins the data to the blocks behind it.
  return last === null || end === null || end - last > MAX_TAIL_BYTES ? null : end;
}

/** The offset of the byte that completes the last pixel of an image; null when pixels are missing. */
function lastPixelOf(body: Uint8Array, start: number): number | null {
  const width = (body[start + 5] ?? 0) | ((body[start + 6] ?? 0) << 8);
  const height = (body[start + 7] ?? 0) | ((body[start + 8] ?? 0) << 8);
  return findLastPixel(body, dataOf(body, start), width * height);
}

/** The offset of an image's data: the size of its LZW codes, and then the sub-blocks. */
function dataOf(body: Uint8Array, start: number): number {
  return start + DESCRIPTOR_BYTES + colourTableBytes(body[start + 9]);
}

/** The offset after an extension; null when it is damaged. */
function readExtension(body: Uint8Array, start: number): number | null {
  const end = skipSubBlocks(body, start + 2);
  const isControl = body[start + 1] === GRAPHIC_CONTROL;
  return isControl && end !== start + 2 + GRAPHIC_CONTROL_BYTES + 2 ? null : end;
}

/** The offset after a chain of sub-blocks; null when the file ends first. */
function skipSubBlocks(body: Uint8Array, start: number): number | null {
  let offset = start;
  while (offset < body.length) {
    const length = body[offset] ?? 0;
    offset += 1 + length;
    if (length === 0) return offset;
  }
  return null;
}

/** Bytes of the colour table in a packed field; 0 without its flag. */
function colourTableBytes(packed = 0): number {
  return packed & 0x80 ? 3 * (2 << (packed & 0x07)) : 0;
}
