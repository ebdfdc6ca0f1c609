import type { ByteReader } from '../byte-reader.ts';
import { corrupt, unsupported } from './image-header.ts';
import { type Box, findBox, openFullBox, readBoxes } from './isobmff.ts';

/** The most items of one file, and references between them; libheif's own limit is 1000 items. */
const MAX_ITEMS = 10_000;

/** The boxes of `meta` that describe items (ISO/IEC 23008-12, section 6 and 9; 14496-12, section 8.11). */
export interface Items {
  readonly reader: ByteReader;
  readonly primary: number;
  /** The list of the items. */
  readonly infos: Box;
  /** The properties, numbered from 1. */
  readonly properties: Box;
  /** The properties of each item. */
  readonly associations: Box;
  /** Where the data of the items lies; undefined where the file does not say it. */
  readonly locations: Box | undefined;
  /** References between items; undefined where the file has none. */
  readonly references: Box | undefined;
}

/** A reference between two items. */
export interface Reference {
  readonly from: number;
  readonly to: number;
}

/**
 * Finds the boxes that describe a HEIF file's items. Throws IMAGE_CORRUPT when one is missing, and UNSUPPORTED_IMAGE for
 * a sequence (a film, ISO/IEC 23008-12, section 7) that has no still picture beside it.
 */
export async function openItems(reader: ByteReader): Promise<Items> {
  const file = { start: 0, end: reader.size };
  const found = await findBox(reader, file, 'meta');
  if (found === undefined && (await findBox(reader, file, 'moov'))) {
    throw unsupported('a still picture', 'the HEIF or AVIF', 'only a sequence; send a still picture');
  }
  const meta = await openFullBox(reader, found ?? (await requireBox(reader, file, 'meta')));
  const pitm = await openFullBox(reader, await requireBox(reader, meta, 'pitm'));
  const primary = await readId(reader, pitm.start, pitm.version === 0 ? 2 : 4, pitm.end);
  const iprp = await requireBox(reader, meta, 'iprp');
  return {
    reader,
    primary,
    infos: await requireBox(reader, meta, 'iinf'),
    properties: await requireBox(reader, iprp, 'ipco'),
    associations: await requireBox(reader, iprp, 'ipma'),
    locations: await findBox(reader, meta, 'iloc'),
    references: await findBox(reader, meta, 'iref'),
  };
}

async function requireBox(reader: ByteReader, within: Omit<Box, 'type'>, type: string): Promise<Box> {
  const box = await findBox(reader, within, type);
  if (box === undefined) throw corrupt(`a ${type} box`, 'the HEIF or AVIF', 'none');
  return box;
}

/** The four letters of an item's type, such as `hvc1`, `av01` or `grid`. Throws IMAGE_CORRUPT when there is no such item. */
export async function typeOf({ reader, infos }: Items, item: number): Promise<string> {
  const { version, start, end } = await openFullBox(reader, infos);
  for await (const box of readBoxes(reader, start + (version === 0 ? 2 : 4), end)) {
    if (box.type !== 'infe') continue;
    const info = await openFullBox(reader, box);
    const idBytes = info.version < 3 ? 2 : 4;
    if ((await readId(reader, info.start, idBytes, info.end)) !== item) continue;
    await reader.need(info.start + idBytes + 2, 4, 'the infe box', info.end);
    return reader.latin1(info.start + idBytes + 2, 4);
  }
  throw corrupt(`an infe box of item ${item}`, 'the HEIF or AVIF', 'none');
}

/** The properties of an item, in the order in which they apply. */
export async function propertiesOf({ reader, properties, associations }: Items, item: number): Promise<Box[]> {
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

/** At most `limit` references of a type for which `matches` is true. */
export async function referencesOf(
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
export async function* readReferences({ reader, references }: Items, type: string): AsyncGenerator<Reference> {
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

/** An item's id, or another number, of 2 or 4 bytes. */
export async function readId(reader: ByteReader, offset: number, bytes: 2 | 4, end: number): Promise<number> {
  await reader.need(offset, bytes, 'an item id', end);
  return bytes === 2 ? reader.u16(offset) : reader.u32(offset);
}
