import type { ImageHeader } from '../../../shared/image-header.ts';
import type { ByteReader } from '../byte-reader.ts';
import { EXIF_PREFIX, hasExifPrefix, readExifOrientation } from './exif.ts';
import { corrupt, imageHeader, unsupported } from './image-header.ts';

/** Marker codes (ITU-T T.81, table B.1). */
const START_OF_IMAGE = 0xd8;
const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;
const APPLICATION_1 = 0xe1;
/** Codes in the range of start-of-frame markers that have another meaning: DHT, JPG, DAC. */
const NOT_FRAMES: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc]);
/** Frames coded in one pass over the picture: baseline, extended, differential, arithmetic, both. */
const SEQUENTIAL: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xc5, 0xc9, 0xcd]);

/** The most segments before the frame header; an ICC profile of 16 MiB takes 256. */
const MAX_SEGMENTS = 65_536;

interface Segment {
  readonly code: number;
  /** Offset of the content, after the length. */
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a JPEG's frame header (ITU-T T.81, annex B) and the first EXIF block before it; for a sequential colour picture
 * also the first scan header. Throws IMAGE_CORRUPT without a frame header, and when the height comes in a later DNL
 * segment.
 */
export async function readJpeg(reader: ByteReader): Promise<ImageHeader> {
  let orientation: number | undefined;
  let header: ImageHeader | undefined;
  for await (const segment of segments(reader)) {
    if (segment.code === START_OF_SCAN) {
      if (header === undefined) break;
      return { ...header, progressive: await isOneOfSeveralScans(reader, segment, header) };
    }
    if (header !== undefined) continue;
    if (isFrame(segment.code)) {
      header = await readFrame(reader, segment, orientation ?? 1);
      if (header.progressive || header.channels === 1) return header;
    }
    if (orientation === undefined && segment.code === APPLICATION_1) {
      orientation = await readOrientation(reader, segment);
    }
  }
  throw corrupt('a frame header and picture data', 'the JPEG', header === undefined ? 'neither' : 'no picture data');
}

async function* segments(reader: ByteReader): AsyncGenerator<Segment> {
  let offset = 2;
  for (let count = 0; count < MAX_SEGMENTS; count++) {
    offset = await findMarker(reader, offset);
    const code = reader.u8(offset);
    if (code === END_OF_IMAGE) return;
    if (code === START_OF_IMAGE) throw corrupt('one SOI marker', 'the JPEG', 'another');
    if (isStandalone(code)) {
      offset += 1;
      continue;
    }
    await reader.need(offset + 1, 2, 'a JPEG segment');
    const length = reader.u16(offset + 1);
    if (length < 2) throw corrupt('at least 2', 'the length of a JPEG segment', length);
    yield { code, start: offset + 3, end: offset + 1 + length };
    if (code === START_OF_SCAN) return;
    offset += 1 + length;
  }
  throw corrupt(`at most ${MAX_SEGMENTS} segments before the frame header`, 'the JPEG', 'more');
}

/** The offset of the next marker's code, past its 0xFF and any fill bytes (0xFF as well) before it. */
async function findMarker(reader: ByteReader, start: number): Promise<number> {
  await reader.need(start, 2, 'a JPEG marker');
  if (reader.u8(start) !== 0xff) throw corrupt('0xff', `the JPEG marker at offset ${start}`, reader.u8(start));
  let offset = start + 1;
  while (reader.u8(offset) === 0xff) {
    offset += 1;
    if (!reader.has(offset, 1)) await reader.need(offset, 1, 'a JPEG marker');
  }
  return offset;
}

async function readFrame(reader: ByteReader, { code, start, end }: Segment, orientation: number): Promise<ImageHeader> {
  await reader.need(start, 6, 'the JPEG frame header', end);
  const precision = reader.u8(start);
  const height = reader.u16(start + 1);
  const width = reader.u16(start + 3);
  const channels = reader.u8(start + 5);
  if (channels < 1 || channels > 4) throw corrupt('1 to 4', 'the components of the JPEG', channels);
  if (precision !== 8) throw unsupported('8 bits a sample', 'the JPEG', precision);
  return imageHeader({ format: 'jpeg', width, height, channels, progressive: !SEQUENTIAL.has(code), orientation });
}

/**
 * True when a scan does not have all components, so that more scans follow: libjpeg then keeps the coefficients of the
 * whole picture in memory, as for a progressive one (its jdinput.c, `initial_setup`).
 */
async function isOneOfSeveralScans(reader: ByteReader, { start, end }: Segment, { channels }: ImageHeader) {
  await reader.need(start, 1, 'the JPEG scan header', end);
  return reader.u8(start) < channels;
}

/** The orientation in an EXIF segment; undefined when APP1 has other content, such as XMP. */
async function readOrientation(reader: ByteReader, { start, end }: Segment): Promise<number | undefined> {
  if (!(await hasExifPrefix(reader, start, end))) return undefined;
  return readExifOrientation(reader, start + EXIF_PREFIX.length, end);
}

function isFrame(code: number): boolean {
  return code >= 0xc0 && code <= 0xcf && !NOT_FRAMES.has(code);
}

/** TEM and the restart markers have no length and no content. */
function isStandalone(code: number): boolean {
  return code === 0x01 || (code >= 0xd0 && code <= 0xd7);
}
