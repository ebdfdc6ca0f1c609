import { DarkroomError } from '../../shared/errors.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import type { InputFormat } from '../../shared/operations/format.ts';
import { ByteReader } from './byte-reader.ts';
import { describeForeign } from './foreign-formats.ts';
import { readGif } from './formats/gif.ts';
import { readHeif } from './formats/heif.ts';
import { readJpeg } from './formats/jpeg.ts';
import { readPng } from './formats/png.ts';
import { readTiff } from './formats/tiff.ts';
import { readWebp } from './formats/webp.ts';
import type { RandomAccess } from './random-access.ts';

/** Bytes from a file's start that {@link sniff} needs; the whole of a shorter file. */
export const SNIFF_BYTES = 256;

/** Magic bytes at the start of a file. Those of JPEG, WebP, AVIF and HEIC need more than a comparison. */
const MAGIC: readonly (readonly [format: InputFormat, bytes: string])[] = [
  ['png', '\x89PNG\r\n\x1a\n'],
  ['gif', 'GIF87a'],
  ['gif', 'GIF89a'],
  ['tiff', 'II*\0'],
  ['tiff', 'MM\0*'],
  ['tiff', 'II+\0'],
  ['tiff', 'MM\0+'],
];

/** Brands of pictures that are coded with HEVC (ISO/IEC 23008-12, annex B). */
const HEIC_BRANDS: ReadonlySet<string> = new Set(['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs']);
/** Brands of pictures in the same container: AVIF, and those that name no codec (the same annex; ISO/IEC 23000-22). */
const HEIF_BRANDS: ReadonlySet<string> = new Set(['avif', 'avis', 'mif1', 'mif2', 'msf1', 'miaf', 'MiHE', 'MiHB']);

const READERS: Readonly<Record<InputFormat, (reader: ByteReader) => Promise<ImageHeader>>> = {
  jpeg: readJpeg,
  png: readPng,
  webp: readWebp,
  avif: readHeif,
  heic: readHeif,
  gif: readGif,
  tiff: readTiff,
};

/**
 * The format of a file by the magic bytes in its first {@link SNIFF_BYTES}. Throws UNSUPPORTED_IMAGE for another
 * format, which the message names if it is known, and for a file that is too short. AVIF and HEIC are one container, whose
 * brands do not always tell them apart; {@link probe} does.
 */
export function sniff(start: Uint8Array): InputFormat {
  const text = Buffer.from(start.subarray(0, SNIFF_BYTES)).toString('latin1');
  for (const [format, bytes] of MAGIC) {
    if (text.startsWith(bytes)) return format;
  }
  // A third byte other than 0xFF is a stray one, which decoders skip.
  if (text.startsWith('\xff\xd8') && text.length > 2) return 'jpeg';
  if (text.startsWith('RIFF') && text.startsWith('WEBP', 8)) return 'webp';
  const brands = text.startsWith('ftyp', 4) ? brandsOf(text) : [];
  if (brands.some((brand) => HEIC_BRANDS.has(brand))) return 'heic';
  if (brands.some((brand) => HEIF_BRANDS.has(brand))) return 'avif';
  const found = describeForeign(start.subarray(0, SNIFF_BYTES));
  throw new DarkroomError(
    'UNSUPPORTED_IMAGE',
    `${capitalize(found)} is not among the formats Darkroom reads; send JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF`,
  );
}

/**
 * Reads a picture's header without decoding: its upright dimensions, its frames, and the channels and depth that
 * libvips decodes to, so that limits are checked before anything is allocated. It reads a few blocks of a few
 * kilobytes, but the whole of a GIF, because that has no count of its frames. Throws UNSUPPORTED_IMAGE like {@link
 * sniff}, and IMAGE_CORRUPT for an invalid header. It does not find damage after the header; decoding does.
 */
export async function probe(source: RandomAccess): Promise<ImageHeader> {
  const reader = new ByteReader(source);
  const length = Math.min(SNIFF_BYTES, source.size);
  await reader.need(0, length, 'the start of the file');
  return READERS[sniff(reader.bytes(0, length))](reader);
}

function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** The major brand and the compatible brands of a file type box (ISO/IEC 14496-12, section 4.3). */
function brandsOf(text: string): string[] {
  const length = Buffer.from(text.slice(0, 4), 'latin1').readUInt32BE();
  return [text.slice(8, 12), ...(text.slice(16, length).match(/.{4}/gs) ?? [])];
}
