import type { ImageHeader } from '../../../shared/image-header.ts';
import type { Size } from '../../../shared/operations/format.ts';
import type { ByteReader } from '../byte-reader.ts';
import { corrupt, imageHeader, unsupported } from './image-header.ts';
import { type Box, findBox, openFullBox, readBoxes } from './isobmff.ts';

/** The most auxiliary pictures that are searched for an alpha channel. */
const MAX_AUXILIARIES = 16;
/** The types of an alpha channel in an auxC property (MIAF, and HEIF for files that reuse its type). */
const ALPHA_TYPES: ReadonlySet<string> = new Set([
  'urn:mpeg:mpegB:cicp:systems:auxiliary:alpha',
  'urn:mpeg:hevc:2015:auxid:1',
]);
const MAX_ALPHA_TYPE_BYTES = 43;
/** The most items of one file, and references between them; libheif's own limit is 1000 items. */
const MAX_ITEMS = 10_000;

/** The boxes of `meta` that describe items (ISO/IEC 23008-12, section 6 and 9; 14496-12, section 8.11). */
interface Items {
  readonly reader: ByteReader;
  readonly primary: number;
  /** The properties, numbered from 1. */
  readonly properties: Box;
  /** The properties of each item. */
  readonly associations: Box;
  /** References between items; undefined where the file has none. */
  readonly references: Box | undefined;
}

/**
 * Reads an AVIF's primary item (AVIF 1.1; HEIF, ISO/IEC 23008-12): its size after the crop and rotation of its
 * properties, its bit depth, and whether another item is its alpha channel. `orientation` is 1, because libheif rotates
 * the picture by its properties and ignores EXIF. Throws IMAGE_CORRUPT when boxes are missing or exceed the file,
 * and UNSUPPORTED_IMAGE when a crop hides more than half of the picture.
 */
export async function readAvif(reader: ByteReader): Promise<ImageHeader> {
  const items = await openItems(reader);
  const properties = await propertiesOf(items, items.primary);
  const size = await readSize(reader, properties);
  const depth = (await readBits(items, properties)) > 8 ? 16 : 8;
  const alpha = await hasAlpha(items);
  // libheif decodes monochrome to RGB, too.
  return imageHeader({ format: 'avif', ...size, channels: alpha ? 4 : 3, depth, alpha });
}

async function openItems(reader: ByteReader): Promise<Items> {
  const meta = await openFullBox(reader, await requireBox(reader, { start: 0, end: reader.size }, 'meta'));
  const pitm = await openFullBox(reader, await requireBox(reader, meta, 'pitm'));
  const primary = await readId(reader, pitm.start, pitm.version === 0 ? 2 : 4, pitm.end);
  const iprp = await requireBox(reader, meta, 'iprp');
  return {
    reader,
    primary,
    properties: await requireBox(reader, iprp, 'ipco'),
    associations: await requireBox(reader, iprp, 'ipma'),
    references: await findBox(reader, meta, 'iref'),
  };
}

async function requireBox(reader: ByteReader, within: Omit<Box, 'type'>, type: string): Promise<Box> {
  const box = await findBox(reader, within, type);
  if (box === undefined) throw corrupt(`a ${type} box`, 'the AVIF', 'none');
  return box;
}

/** The properties of an item, in the order in which they apply. */
async function propertiesOf({ reader, properties, associations }: Items, item: number): Promise<Box[]> {
  const wanted = await propertyNumbersOf(reader, associations, item);
  const found = new Map<number, Box>();
  const last = Math.max(0, ...wanted);
  let number = 0;
  for await (const box of readBoxes(reader, properties.start, properties.end)) {
    number += 1;
    if (wanted.includes(number)) found.set(number, box);
    if (number >= last) break;
  }
  return wanted.flatMap((one) => found.get(one) ?? []);
}

/** The numbers of an item's properties: at most 255, because the count is one byte. */
async function propertyNumbersOf(reader: ByteReader, associations: Box, item: number): Promise<number[]> {
  const box = await openFullBox(reader, associations);
  const idBytes = box.version === 0 ? 2 : 4;
  const numberBytes = box.flags & 1 ? 2 : 1;
  await reader.need(box.start, 4, 'the ipma box', box.end);
  const entries = reader.u32(box.start);
  if (entries > MAX_ITEMS) throw corrupt(`at most ${MAX_ITEMS} items`, 'the ipma box', entries);
  let offset = box.start + 4;
  for (let entry = 0; entry < entries; entry++) {
    const id = await readId(reader, offset, idBytes, box.end);
    await reader.need(offset + idBytes, 1, 'the ipma box', box.end);
    const count = reader.u8(offset + idBytes);
    offset += idBytes + 1;
    if (id === item) {
      await reader.need(offset, count * numberBytes, 'the ipma box', box.end);
      return Array.from({ length: count }, (_, index) => propertyNumberAt(reader, offset, numberBytes, index));
    }
    offset += count * numberBytes;
  }
  return [];
}

/** A property's number without its top bit, the flag for essential properties. */
function propertyNumberAt(reader: ByteReader, start: number, bytes: 1 | 2, index: number): number {
  return bytes === 1 ? reader.u8(start + index) & 0x7f : reader.u16(start + 2 * index) & 0x7fff;
}

/** The size in ispe, then cropped by clap and rotated by irot, in the file's order. */
async function readSize(reader: ByteReader, properties: readonly Box[]): Promise<Size> {
  let size: Size | undefined;
  for (const { type, start, end } of properties) {
    if (type === 'ispe' && size === undefined) {
      await reader.need(start + 4, 8, 'the ispe box', end);
      size = { width: reader.u32(start + 4), height: reader.u32(start + 8) };
    }
    if (type === 'clap' && size) {
      await reader.need(start, 16, 'the clap box', end);
      size = crop(size, { width: readFraction(reader, start), height: readFraction(reader, start + 8) });
    }
    if (type === 'irot' && size) {
      await reader.need(start, 1, 'the irot box', end);
      if (reader.u8(start) & 1) size = { width: size.height, height: size.width };
    }
  }
  if (size === undefined) throw corrupt('an ispe property', "the AVIF's primary item", 'none');
  return size;
}

/**
 * The size after the crop to the clean aperture. The crop must leave at least half of the pixels, because decoding
 * needs memory for the whole picture, and the limits see only the cropped size.
 */
function crop(whole: Size, clean: Size): Size {
  const fits = clean.width >= 1 && clean.height >= 1 && clean.width <= whole.width && clean.height <= whole.height;
  const shown = `${clean.width}×${clean.height}`;
  if (!fits) throw corrupt(`at most ${whole.width}×${whole.height} pixels`, "the AVIF's clean aperture", shown);
  if (2 * clean.width * clean.height < whole.width * whole.height) {
    throw unsupported(`at least half of ${whole.width}×${whole.height} pixels`, "the AVIF's clean aperture", shown);
  }
  return clean;
}

/** A fraction of two unsigned 32-bit numbers, rounded. */
function readFraction(reader: ByteReader, offset: number): number {
  return Math.round(reader.u32(offset) / reader.u32(offset + 4));
}

/** Bits per sample: from the item's codec configuration, else from a grid's first tile, else from pixi, else 8. */
async function readBits(items: Items, properties: readonly Box[]): Promise<number> {
  const { reader, primary } = items;
  const own = await configuredBits(reader, properties);
  if (own !== undefined) return own;
  const [tile] = await referencesOf(items, 'dimg', (from) => from === primary, 1);
  const tiled = tile && (await configuredBits(reader, await propertiesOf(items, tile.to)));
  if (tiled !== undefined) return tiled;
  const pixi = properties.find((box) => box.type === 'pixi');
  if (pixi === undefined) return 8;
  await reader.need(pixi.start + 4, 2, 'the pixi box', pixi.end);
  return reader.u8(pixi.start + 5);
}

/** high_bitdepth and twelve_bit of av1C (AV1 in ISOBMFF, section 2.3.3). */
async function configuredBits(reader: ByteReader, properties: readonly Box[]): Promise<number | undefined> {
  const av1c = properties.find((box) => box.type === 'av1C');
  if (av1c === undefined) return undefined;
  await reader.need(av1c.start, 3, 'the av1C box', av1c.end);
  const flags = reader.u8(av1c.start + 2);
  if ((flags & 0x40) === 0) return 8;
  return flags & 0x20 ? 12 : 10;
}

async function hasAlpha(items: Items): Promise<boolean> {
  const auxiliaries = await referencesOf(items, 'auxl', (_, to) => to === items.primary, MAX_AUXILIARIES);
  for (const { from } of auxiliaries) {
    const properties = await propertiesOf(items, from);
    const auxC = properties.find((box) => box.type === 'auxC');
    if (auxC && ALPHA_TYPES.has(await readAuxiliaryType(items.reader, auxC))) return true;
  }
  return false;
}

/** The type in an auxC box up to its NUL, cut at the length of the longest alpha type. */
async function readAuxiliaryType(reader: ByteReader, { start, end }: Box): Promise<string> {
  const length = Math.max(0, Math.min(MAX_ALPHA_TYPE_BYTES + 1, end - start - 4));
  await reader.need(start + 4, length, 'the auxC box', end);
  return reader.latin1(start + 4, length).split('\0', 1)[0] ?? '';
}

interface Reference {
  readonly from: number;
  readonly to: number;
}

/** At most `limit` references of a type for which `matches` is true. */
async function referencesOf(
  items: Items,
  type: string,
  matches: (from: number, to: number) => boolean,
  limit: number,
): Promise<Reference[]> {
  const found: Reference[] = [];
  for await (const { from, to } of readReferences(items, type)) {
    if (matches(from, to)) found.push({ from, to });
    if (found.length === limit) break;
  }
  return found;
}

/** The references of one type. Throws IMAGE_CORRUPT when there are too many. */
async function* readReferences({ reader, references }: Items, type: string): AsyncGenerator<Reference> {
  if (references === undefined) return;
  const { version, start, end } = await openFullBox(reader, references);
  const idBytes = version === 0 ? 2 : 4;
  let total = 0;
  for await (const box of readBoxes(reader, start, end)) {
    if (box.type !== type) continue;
    const from = await readId(reader, box.start, idBytes, box.end);
    await reader.need(box.start + idBytes, 2, 'the iref box', box.end);
    const count = reader.u16(box.start + idBytes);
    total += count;
    if (total > MAX_ITEMS) throw corrupt(`at most ${MAX_ITEMS} references`, 'the iref box', total);
    const first = box.start + idBytes + 2;
    for (let index = 0; index < count; index++) {
      yield { from, to: await readId(reader, first + index * idBytes, idBytes, box.end) };
    }
  }
}

async function readId(reader: ByteReader, offset: number, bytes: 2 | 4, end: number): Promise<number> {
  await reader.need(offset, bytes, 'an item id', end);
  return bytes === 2 ? reader.u16(offset) : reader.u32(offset);
}
