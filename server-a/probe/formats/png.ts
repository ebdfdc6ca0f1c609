import type { ImageHeader } from '../../../shared/image-header.ts';
import type { ByteReader } from '../byte-reader.ts';
import { readExifOrientation } from './exif.ts';
import { corrupt, imageHeader, unsupported } from './image-header.ts';

const SIGNATURE_BYTES = 8;
const CHECKSUM_BYTES = 4;
/** The most chunks before the picture data. */
const MAX_CHUNKS = 65_536;

/** Channels without alpha, and the depths allowed, by colour type (PNG third edition, table 8). */
const COLOUR_TYPES: ReadonlyMap<number, { channels: number; alpha: boolean; depths: readonly number[] }> = new Map([
  [0, { channels: 1, alpha: false, depths: [1, 2, 4, 8, 16] }],
  [2, { channels: 3, alpha: false, depths: [8, 16] }],
  [3, { channels: 3, alpha: false, depths: [1, 2, 4, 8] }],
  [4, { channels: 1, alpha: true, depths: [8, 16] }],
  [6, { channels: 3, alpha: true, depths: [8, 16] }],
]);

/**
 * Reads a PNG's chunks before its picture data (PNG third edition, section 5). A palette counts as RGB, because it is
 * decoded to RGB, and a tRNS chunk counts as an alpha channel. libvips decodes only the default picture of an animated
 * PNG, so only that counts. Throws IMAGE_CORRUPT when IHDR is not first or is invalid, or no picture data follows.
 */
export async function readPng(reader: ByteReader): Promise<ImageHeader> {
  const { colourType, ...header } = await readImageHeader(reader);
  let { alpha } = header;
  let orientation: number | undefined;
  let colours = 0;
  for await (const { type, start, end } of chunks(reader)) {
    if (type === 'IDAT') {
      const channels = header.channels + (alpha ? 1 : 0);
      return imageHeader({ ...header, channels, alpha, orientation: orientation ?? 1 });
    }
    if (type === 'IEND') break;
    if (type === 'PLTE') colours = (end - start) / 3;
    if (type === 'tRNS') alpha ||= isTransparency(colourType, end - start, colours);
    if (type === 'eXIf') orientation ??= await readExifOrientation(reader, start, end);
  }
  throw corrupt('an IDAT chunk', 'the PNG', 'none');
}

/** True for a tRNS chunk of the right length for its colour type; libpng ignores others. */
function isTransparency(colourType: number, length: number, colours: number): boolean {
  if (colourType === 3) return length >= 1 && length <= colours;
  return (colourType === 0 && length === 2) || (colourType === 2 && length === 6);
}

async function* chunks(reader: ByteReader): AsyncGenerator<{ type: string; start: number; end: number }> {
  let offset = SIGNATURE_BYTES;
  for (let count = 0; count < MAX_CHUNKS; count++) {
    await reader.need(offset, 8, 'a PNG chunk');
    const start = offset + 8;
    const end = start + reader.u32(offset);
    yield { type: reader.latin1(offset + 4, 4), start, end };
    offset = end + CHECKSUM_BYTES;
  }
  throw corrupt(`at most ${MAX_CHUNKS} chunks before the picture data`, 'the PNG', 'more');
}

async function readImageHeader(reader: ByteReader) {
  await reader.need(SIGNATURE_BYTES, 25, 'the PNG header');
  const type = reader.latin1(SIGNATURE_BYTES + 4, 4);
  // Xcode writes this chunk first, and then pixels that only Apple's decoder reads.
  if (type === 'CgBI') throw unsupported('a standard PNG', 'the file', "Apple's CgBI variant, made for iOS apps");
  if (type !== 'IHDR') throw corrupt("'IHDR'", "the PNG's first chunk", type);
  const start = SIGNATURE_BYTES + 8;
  const width = reader.u32(start);
  const height = reader.u32(start + 4);
  const bits = reader.u8(start + 8);
  const colourType = reader.u8(start + 9);
  const colour = COLOUR_TYPES.get(colourType);
  if (!colour?.depths.includes(bits)) {
    throw corrupt('a valid colour type and depth', 'the PNG header', `${colourType} and ${bits}`);
  }
  const interlace = reader.u8(start + 12);
  if (interlace > 1) throw corrupt('0 or 1', "the PNG header's interlace method", interlace);
  const { channels, alpha } = colour;
  const depth: 8 | 16 = bits === 16 ? 16 : 8;
  return { format: 'png', colourType, width, height, channels, alpha, depth, progressive: interlace === 1 } as const;
}
