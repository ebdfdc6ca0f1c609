import type { ByteReader } from '../byte-reader.ts';
import { type Items, readId, readReferences } from './heif-items.ts';
import { corrupt } from './image-header.ts';
import { openFullBox } from './isobmff.ts';

/** The most items, and parts of items, in an iloc box; libheif's own limit is 1000 items. */
const MAX_EXTENTS = 10_000;

/** Sizes in bytes of the numbers in an iloc box, each 0, 4 or 8. */
interface Sizes {
  readonly offset: number;
  readonly length: number;
  readonly base: number;
  readonly index: number;
}

/**
 * Throws IMAGE_CORRUPT when data of the items in `roots`, or of items that these are made from, lies beyond the file's
 * end. libheif leaves the tiles black that a cut file does not have. (iloc: ISO/IEC 14496-12, section 8.11.3.)
 */
export async function checkExtents(items: Items, roots: readonly number[]): Promise<void> {
  const { reader, locations } = items;
  if (locations === undefined) return;
  const needed = await sourcesOf(items, roots);
  const { version, start, end } = await openFullBox(reader, locations);
  await reader.need(start, 2, 'the iloc box', end);
  const [first, second] = [reader.u8(start), reader.u8(start + 1)];
  const index = version === 0 ? 0 : second & 15;
  const sizes = { offset: first >> 4, length: first & 15, base: second >> 4, index };
  const idBytes = version < 2 ? 2 : 4;
  const count = await readId(reader, start + 2, idBytes, end);
  if (count > MAX_EXTENTS) throw corrupt(`at most ${MAX_EXTENTS} items`, 'the iloc box', count);
  const methodBytes = version === 0 ? 0 : 2;
  const headBytes = idBytes + methodBytes + 2 + sizes.base + 2;
  let offset = start + 2 + idBytes;
  let total = 0;
  for (let item = 0; item < count; item += 1) {
    await reader.need(offset, headBytes, 'the iloc box', end);
    const id = idBytes === 2 ? reader.u16(offset) : reader.u32(offset);
    // Method 0: offsets count from the start of the file; others count in another box or item.
    const isInFile = methodBytes === 0 || (reader.u16(offset + idBytes) & 15) === 0;
    const base = readNumber(reader, offset + idBytes + methodBytes + 2, sizes.base);
    const extents = reader.u16(offset + headBytes - 2);
    total += extents;
    if (total > MAX_EXTENTS) throw corrupt(`at most ${MAX_EXTENTS} extents`, 'the iloc box', total);
    offset += headBytes;
    for (let extent = 0; extent < extents; extent += 1) {
      const stop = base + (await readExtentEnd(reader, offset, sizes, end));
      if (isInFile && needed.has(id) && stop > reader.size) {
        throw corrupt(`a file of at least ${stop} bytes`, 'the picture data', `${reader.size} bytes`);
      }
      offset += sizes.index + sizes.offset + sizes.length;
    }
  }
}

/** The items that `roots` are made from, directly or not, and `roots` themselves. */
async function sourcesOf(items: Items, roots: readonly number[]): Promise<ReadonlySet<number>> {
  const sources = new Map<number, number[]>();
  for await (const { from, to } of readReferences(items, 'dimg')) sources.set(from, [...(sources.get(from) ?? []), to]);
  const found = new Set(roots);
  // A set also visits what is added during the walk.
  for (const item of found) for (const source of sources.get(item) ?? []) found.add(source);
  return found;
}

async function readExtentEnd(reader: ByteReader, offset: number, sizes: Sizes, end: number): Promise<number> {
  await reader.need(offset, sizes.index + sizes.offset + sizes.length, 'the iloc box', end);
  const start = offset + sizes.index;
  return readNumber(reader, start, sizes.offset) + readNumber(reader, start + sizes.offset, sizes.length);
}

function readNumber(reader: ByteReader, offset: number, bytes: number): number {
  if (bytes === 0) return 0;
  if (bytes === 4) return reader.u32(offset);
  if (bytes === 8) return reader.u64(offset);
  throw corrupt('0, 4 or 8 bytes for a number', 'the iloc box', bytes);
}
