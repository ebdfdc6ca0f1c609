import type { ByteReader } from '../byte-reader.ts';
import { corrupt } from './image-header.ts';

/** The most boxes side by side, far above libheif's limit. Without it a file of empty boxes would take seconds. */
const MAX_BOXES = 10_000;

/** A box of the ISO base media file format (ISO/IEC 14496-12, section 4.2). */
export interface Box {
  readonly type: string;
  /** Offset of the content. */
  readonly start: number;
  readonly end: number;
}

/** A box that begins with a version and flags (FullBox); `start` is past them. */
export interface FullBox extends Box {
  readonly version: number;
  readonly flags: number;
}

/**
 * The boxes between `start` and `end`, in the file's order. Throws IMAGE_CORRUPT when a box exceeds `end` or there are
 * too many.
 */
export async function* readBoxes(reader: ByteReader, start: number, end: number): AsyncGenerator<Box> {
  let offset = start;
  for (let count = 0; offset < end; count++) {
    if (count === MAX_BOXES) throw corrupt(`at most ${MAX_BOXES} boxes side by side`, 'the file', 'more');
    const box = await readBox(reader, offset, end);
    yield box;
    offset = box.end;
  }
}

/** The first box of a type between `start` and `end`; undefined when there is none. */
export async function findBox(reader: ByteReader, within: Omit<Box, 'type'>, type: string): Promise<Box | undefined> {
  for await (const box of readBoxes(reader, within.start, within.end)) {
    if (box.type === type) return box;
  }
  return undefined;
}

/** Reads the version and flags of a FullBox. */
export async function openFullBox(reader: ByteReader, box: Box): Promise<FullBox> {
  await reader.need(box.start, 4, `the ${box.type} box`, box.end);
  const word = reader.u32(box.start);
  return { ...box, start: box.start + 4, version: word >>> 24, flags: word & 0xff_ffff };
}

async function readBox(reader: ByteReader, offset: number, end: number): Promise<Box> {
  await reader.need(offset, 8, 'a box', end);
  const type = reader.latin1(offset + 4, 4);
  let length = reader.u32(offset);
  let head = 8;
  if (length === 1) {
    head = 16;
    await reader.need(offset, head, `the ${type} box`, end);
    length = reader.u64(offset + 8);
  }
  // A length of 0 means that the box ends where its container ends.
  const stop = length === 0 ? end : offset + length;
  if (stop < offset + head || stop > end) {
    throw corrupt(`a length of ${head} to ${end - offset}`, `the ${type} box`, length);
  }
  return { type, start: offset + head, end: stop };
}
