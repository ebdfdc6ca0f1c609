import type { ByteReader } from '../byte-reader.ts';
import { corrupt } from './image-header.ts';

/**
 * Bytes of one value by TIFF field type (TIFF 6.0, section 2; 13 is from its supplement 1; BigTIFF adds 16 to 18), for
 * whole numbers only.
 */
const VALUE_BYTES: ReadonlyMap<number, 1 | 2 | 4 | 8> = new Map([
  [1, 1],
  [3, 2],
  [4, 4],
  [13, 4],
  [16, 8],
  [18, 8],
]);
/** The most entries of one directory, libtiff's limit. */
const MAX_ENTRIES = 65_535;

/** One field of a TIFF directory. */
export interface TiffField {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  /** Offset of its values from the start of the file. */
  readonly offset: number;
}

/** The place of a TIFF structure in the file, and its byte order. */
export interface TiffStructure {
  readonly reader: ByteReader;
  /** Offset of the TIFF header, to which all offsets in the structure are relative. */
  readonly base: number;
  readonly end: number;
  readonly little: boolean;
  /** BigTIFF: 64-bit offsets and counts. */
  readonly big: boolean;
}

/** Reads the TIFF header at `base` (TIFF 6.0, section 2; BigTIFF). Throws IMAGE_CORRUPT when there is none. */
export async function openTiff(reader: ByteReader, base: number, end: number): Promise<TiffStructure> {
  await reader.need(base, 8, 'the TIFF header', end);
  const order = reader.latin1(base, 2);
  if (order !== 'II' && order !== 'MM') throw corrupt("'II' or 'MM'", 'the TIFF byte order', order);
  const little = order === 'II';
  const version = reader.u16(base + 2, little);
  if (version !== 42 && version !== 43) throw corrupt('42 or 43', 'the TIFF version', version);
  return { reader, base, end, little, big: version === 43 };
}

/** Offset of the first directory, from the start of the structure. */
export async function firstDirectory({ reader, base, end, little, big }: TiffStructure): Promise<number> {
  await reader.need(base, big ? 16 : 8, 'the TIFF header', end);
  return big ? reader.u64(base + 8, little) : reader.u32(base + 4, little);
}

/**
 * Calls `visit` with each field of the directory at `offset`, in the file's order. Gives the offset of the next directory,
 * 0 after the last. Throws IMAGE_CORRUPT when the directory exceeds the structure, after the fields that do not.
 */
export async function readDirectory(
  tiff: TiffStructure,
  offset: number,
  visit: (field: TiffField) => void,
): Promise<number> {
  const { reader, base, end, little, big } = tiff;
  const what = 'the TIFF directory';
  const start = base + offset;
  const countBytes = big ? 8 : 2;
  await reader.need(start, countBytes, what, end);
  const count = big ? reader.u64(start, little) : reader.u16(start, little);
  if (count > MAX_ENTRIES) throw corrupt(`at most ${MAX_ENTRIES} entries`, what, count);
  const entryBytes = big ? 20 : 12;
  for (let index = 0; index < count; index++) {
    const entry = start + countBytes + index * entryBytes;
    const isAtHand = entry + entryBytes <= end && reader.has(entry, entryBytes);
    if (!isAtHand) await reader.need(entry, entryBytes, what, end);
    visit(readField(tiff, entry));
  }
  return readLink(tiff, start + countBytes + count * entryBytes);
}

/** The offset of the next directory. One at the very end of the structure may lack it. */
async function readLink({ reader, end, little, big }: TiffStructure, offset: number): Promise<number> {
  const length = big ? 8 : 4;
  if (offset + length > Math.min(end, reader.size)) return 0;
  await reader.need(offset, length, 'the TIFF directory', end);
  return big ? reader.u64(offset, little) : reader.u32(offset, little);
}

/** The first whole number of a field; undefined when the field has another type or no value. */
export async function readNumber(tiff: TiffStructure, field: TiffField): Promise<number | undefined> {
  const [first] = await readNumbers(tiff, field, 1);
  return first;
}

/** The first `most` whole numbers of a field; none when the field has another type. */
export async function readNumbers(tiff: TiffStructure, field: TiffField, most: number): Promise<number[]> {
  const bytes = VALUE_BYTES.get(field.type);
  if (bytes === undefined) return [];
  const count = Math.min(field.count, most);
  await tiff.reader.need(field.offset, bytes * count, `TIFF tag ${field.tag}`, tiff.end);
  return Array.from({ length: count }, (_, index) => readValue(tiff, field.offset + index * bytes, bytes));
}

function readValue({ reader, little }: TiffStructure, offset: number, bytes: 1 | 2 | 4 | 8): number {
  if (bytes === 1) return reader.u8(offset);
  if (bytes === 2) return reader.u16(offset, little);
  return bytes === 4 ? reader.u32(offset, little) : reader.u64(offset, little);
}

function readField({ reader, base, little, big }: TiffStructure, entry: number): TiffField {
  const tag = reader.u16(entry, little);
  const type = reader.u16(entry + 2, little);
  const count = big ? reader.u64(entry + 4, little) : reader.u32(entry + 4, little);
  const slot = entry + (big ? 12 : 8);
  const fits = count * (VALUE_BYTES.get(type) ?? 1) <= (big ? 8 : 4);
  const offset = fits ? slot : base + (big ? reader.u64(slot, little) : reader.u32(slot, little));
  return { tag, type, count, offset };
}
