import type { ImageHeader } from '../../../shared/image-header.ts';
import type { ByteReader } from '../byte-reader.ts';
import { EXIF_PREFIX, hasExifPrefix, readExifOrientation } from './exif.ts';
import { corrupt, imageHeader } from './image-header.ts';

const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
/** Flags of the VP8X chunk (RFC 9649, section 2.7). */
const ANIMATION_FLAG = 0x02;
const EXIF_FLAG = 0x08;
const ALPHA_FLAG = 0x10;

/** Chunk types as numbers, for speed: an animation can have millions of chunks. */
const ANMF = fourCharacters('ANMF');
const EXIF = fourCharacters('EXIF');
const LOSSLESS = fourCharacters('VP8L');

interface Chunk {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a WebP's header (RFC 9649) in its three layouts: simple lossy, simple lossless and extended. An extended file
 * is walked to its end for its frames and its EXIF block. A lossless picture counts as progressive, because its decoder
 * always keeps the whole picture in memory. Throws IMAGE_CORRUPT when the dimensions are invalid or an animation has no
 * frames.
 */
export async function readWebp(reader: ByteReader): Promise<ImageHeader> {
  await reader.need(RIFF_HEADER_BYTES, CHUNK_HEADER_BYTES, "the WebP's first chunk");
  const first = chunkAt(reader, RIFF_HEADER_BYTES);
  if (first.type === 'VP8 ') return readLossy(reader, first);
  if (first.type === 'VP8L') return readLossless(reader, first);
  if (first.type === 'VP8X') return readExtended(reader, first);
  throw corrupt("'VP8 ', 'VP8L' or 'VP8X'", "the WebP's first chunk", first.type);
}

/** RFC 6386, section 9.1: a frame tag of three bytes, a start code, two sides of 14 bits with their scale. */
async function readLossy(reader: ByteReader, { start, end }: Chunk): Promise<ImageHeader> {
  await reader.need(start, 10, 'the VP8 frame header', end);
  const isKeyFrame = (reader.u8(start) & 1) === 0;
  if (!isKeyFrame || reader.latin1(start + 3, 3) !== '\x9d\x01\x2a') {
    throw corrupt('a key frame', 'the VP8 frame header', 'something else');
  }
  const width = reader.u16(start + 6, true) & 0x3fff;
  const height = reader.u16(start + 8, true) & 0x3fff;
  return imageHeader({ format: 'webp', width, height, channels: 3 });
}

/** RFC 9649, section 3.4: a signature byte, two sides minus one of 14 bits each, the alpha bit. */
async function readLossless(reader: ByteReader, { start, end }: Chunk): Promise<ImageHeader> {
  await reader.need(start, 5, 'the VP8L header', end);
  if (reader.u8(start) !== 0x2f) throw corrupt(`${0x2f}`, 'the VP8L signature', reader.u8(start));
  const bits = reader.u32(start + 1, true);
  const width = 1 + (bits & 0x3fff);
  const height = 1 + ((bits >>> 14) & 0x3fff);
  const alpha = ((bits >>> 28) & 1) === 1;
  return imageHeader({ format: 'webp', width, height, channels: alpha ? 4 : 3, alpha, progressive: true });
}

async function readExtended(reader: ByteReader, { start, end }: Chunk): Promise<ImageHeader> {
  await reader.need(start, 10, 'the VP8X header', end);
  const flags = reader.u8(start);
  const width = 1 + reader.u24Little(start + 4);
  const height = 1 + reader.u24Little(start + 7);
  const alpha = (flags & ALPHA_FLAG) !== 0;
  const animated = (flags & ANIMATION_FLAG) !== 0;
  const { frames, exif, lossless } = await readChunks(reader, end);
  if (animated && frames === 0) throw corrupt('at least one ANMF chunk', 'the animated WebP', 'none');
  const orientation = exif && (flags & EXIF_FLAG) !== 0 ? await readOrientation(reader, exif) : 1;
  const channels = alpha ? 4 : 3;
  const still = { format: 'webp', width, height, channels, alpha, progressive: lossless, orientation } as const;
  return imageHeader(animated ? { ...still, frames, progressive: false } : still);
}

interface Chunks {
  readonly frames: number;
  readonly exif: Chunk | undefined;
  readonly lossless: boolean;
}

/** Counts the frames after `start`, finds the first EXIF block, and checks if a still picture is lossless. */
async function readChunks(reader: ByteReader, start: number): Promise<Chunks> {
  // The RIFF length excludes itself and the type before it, eight bytes.
  await reader.need(4, 4, 'the RIFF header');
  let stop = Math.min(reader.size, 8 + reader.u32(4, true));
  let frames = 0;
  let exif: Chunk | undefined;
  let lossless = false;
  let offset = start;
  for (;;) {
    if (offset + CHUNK_HEADER_BYTES > stop) {
      if (stop === reader.size || offset === stop || offset === stop + 1) return { frames, exif, lossless };
      // No chunk ends where the RIFF length says. Server B corrects it, so all chunks count.
      stop = reader.size;
      continue;
    }
    if (!reader.has(offset, CHUNK_HEADER_BYTES)) await reader.need(offset, CHUNK_HEADER_BYTES, 'a WebP chunk');
    const type = reader.u32(offset);
    const length = reader.u32(offset + 4, true);
    if (type === ANMF) frames += 1;
    if (type === LOSSLESS) lossless = true;
    if (type === EXIF) exif ??= chunkAt(reader, offset);
    offset += CHUNK_HEADER_BYTES + length + (length % 2);
  }
}

async function readOrientation(reader: ByteReader, { start, end }: Chunk): Promise<number> {
  const prefixed = await hasExifPrefix(reader, start, end);
  return readExifOrientation(reader, prefixed ? start + EXIF_PREFIX.length : start, end);
}

function chunkAt(reader: ByteReader, offset: number): Chunk {
  const start = offset + CHUNK_HEADER_BYTES;
  return { type: reader.latin1(offset, 4), start, end: start + reader.u32(offset + 4, true) };
}

function fourCharacters(text: string): number {
  return Buffer.from(text, 'latin1').readUInt32BE();
}
