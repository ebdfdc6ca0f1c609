import type { ImageHeader } from '../../../shared/image-header.ts';
import type { ByteReader } from '../byte-reader.ts';
import { EXIF_PREFIX, hasExifPrefix, readExifOrientation } from './exif.ts';
import { corrupt, imageHeader, unsupported } from './image-header.ts';

/** Marker codes (ITU-T T.81, table B.1). */
const START_OF_IMAGE = 0xd8;
const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;
/** APP0, where JFIF says that colours are YCbCr. */
const APPLICATION_0 = 0xe0;
const APPLICATION_1 = 0xe1;
/** Codes in the range of start-of-frame markers that have another meaning: DHT, JPG, DAC. */
const NOT_FRAMES: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc]);
/** Frames that libjpeg decodes: baseline, extended and progressive, the last two also with arithmetic coding; lossless. */
const DECODABLE: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xc2, 0xc3, 0xc9, 0xca]);
const LOSSLESS = 0xc3;
/** The start of a frame of JPEG-LS (ITU-T T.87). */
const JPEG_LS_FRAME = 0xf7;
/** Frames coded in one pass over the picture: baseline, extended, differential, arithmetic, both. */
const SEQUENTIAL: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xc5, 0xc9, 0xcd]);

/** The most segments before the first scan; an ICC profile of 16 MiB takes 256. */
const MAX_SEGMENTS = 65_536;
/** The most bytes before a marker that belong to no segment. */
const MAX_STRAY_BYTES = 65_536;

/** What a frame header says. */
interface Frame extends Pick<ImageHeader, 'width' | 'height' | 'channels' | 'progressive'> {
  readonly lossless: boolean;
}

interface Segment {
  readonly code: number;
  /** Offset of the content, after the length. */
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a JPEG's frame header (ITU-T T.81, annex B) and the first EXIF block, up to the first scan header; EXIF may stand
 * behind the frame header, and libjpeg finds it there. Skips bytes between segments that belong to none, as decoders do.
 * Throws IMAGE_CORRUPT without a frame and a scan, and when the height comes in a later DNL segment; UNSUPPORTED_IMAGE for
 * a frame that libjpeg does not decode.
 */
export async function readJpeg(reader: ByteReader): Promise<ImageHeader> {
  let orientation: number | undefined;
  let frame: Frame | undefined;
  let isYcc = false;
  for await (const segment of segments(reader)) {
    if (segment.code === START_OF_SCAN) {
      if (frame === undefined) break;
      const { lossless, ...stored } = frame;
      // libjpeg does not convert the colours of a lossless picture.
      if (lossless && isYcc && stored.channels > 1) throw unsupported('RGB', 'the lossless JPEG', 'YCbCr');
      const progressive = stored.progressive || (await isOneOfSeveralScans(reader, segment, frame));
      return imageHeader({ format: 'jpeg', ...stored, progressive, orientation: orientation ?? 1 });
    }
    if (segment.code === JPEG_LS_FRAME) throw unsupported('a JPEG', 'the picture', 'JPEG-LS');
    isYcc ||= segment.code === APPLICATION_0;
    if (frame === undefined && isFrame(segment.code)) frame = await readFrame(reader, segment);
    if (orientation === undefined && segment.code === APPLICATION_1) {
      orientation = await readOrientation(reader, segment);
    }
  }
  throw corrupt('a frame header and picture data', 'the JPEG', frame === undefined ? 'neither' : 'no picture data');
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
  throw corrupt(`at most ${MAX_SEGMENTS} segments before the picture data`, 'the JPEG', 'more');
}

/**
 * The offset of the next marker's code: past stray bytes, its 0xFF, and any fill bytes (0xFF as well) before it. 0x00
 * after 0xFF makes no marker, so that it is stray, too (libjpeg's jdmarker.c, `next_marker`).
 */
async function findMarker(reader: ByteReader, start: number): Promise<number> {
  let isAfterFill = false;
  for (let offset = start; offset - start <= MAX_STRAY_BYTES; offset += 1) {
    if (!reader.has(offset, 1)) await reader.need(offset, 1, 'a JPEG marker');
    const byte = reader.u8(offset);
    if (isAfterFill && byte !== 0 && byte !== 0xff) return offset;
    isAfterFill = byte === 0xff;
  }
  throw corrupt('0xff', `the JPEG marker at offset ${start}`, `${MAX_STRAY_BYTES} other bytes`);
}

async function readFrame(reader: ByteReader, { code, start, end }: Segment): Promise<Frame> {
  if (!DECODABLE.has(code))
    throw unsupported('a baseline, progressive or lossless frame', 'the JPEG', `SOF${code - 0xc0}`);
  await reader.need(start, 6, 'the JPEG frame header', end);
  const precision = reader.u8(start);
  const height = reader.u16(start + 1);
  const width = reader.u16(start + 3);
  const channels = reader.u8(start + 5);
  if (channels < 1 || channels > 4) throw corrupt('1 to 4', 'the components of the JPEG', channels);
  if (channels === 2) throw unsupported('1, 3 or 4', 'the components of the JPEG', channels);
  if (precision !== 8) throw unsupported('8 bits a sample', 'the JPEG', precision);
  return { width, height, channels, progressive: !SEQUENTIAL.has(code), lossless: code === LOSSLESS };
}

/**
 * True when a scan does not have all components, so that more scans follow: libjpeg then keeps the coefficients of the
 * whole picture in memory, as for a progressive one (its jdinput.c, `initial_setup`).
 */
async function isOneOfSeveralScans(reader: ByteReader, { start, end }: Segment, { channels }: Frame) {
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
