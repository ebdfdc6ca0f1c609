import { type BlockTables, type HuffmanTable, makeTable, readInterval } from './huffman.ts';
import { readU16, type Scan, type Segment } from './jpeg-parts.ts';

/** Marker codes of Huffman-coded frames (ITU-T T.81, table B.1). */
const BASELINE = 0xc0;
const EXTENDED = 0xc1;
const PROGRESSIVE = 0xc2;
const COEFFICIENTS = 64;

interface Component {
  readonly id: number;
  /** Sampling factors, across and down. */
  readonly across: number;
  readonly down: number;
  /** The lowest bit known of each coefficient; -1 for a coefficient that no scan has sent. */
  readonly lowestBits: Int8Array;
}

/** A frame header (ITU-T T.81, section B.2.2). */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly coding: 'sequential' | 'progressive' | 'other';
  readonly components: readonly Component[];
}

/** Huffman tables by their class and destination, as a scan header names them: 0x00 to 0x03 DC, 0x10 to 0x13 AC. */
export type Tables = Map<number, HuffmanTable>;

/** The frame header in a segment; null for one that is not valid. */
export function readFrame(body: Uint8Array, { code, start, end }: Segment): Frame | null {
  const count = body[start + 5] ?? 0;
  if (end - start < 6 + 3 * count) return null;
  const components = Array.from({ length: count }, (_, index) => {
    const at = start + 6 + 3 * index;
    const sampling = body[at + 1] ?? 0;
    const lowestBits = new Int8Array(COEFFICIENTS).fill(-1);
    return { id: body[at] ?? 0, across: sampling >> 4, down: sampling & 0x0f, lowestBits };
  });
  if (components.some(({ across, down }) => across < 1 || across > 4 || down < 1 || down > 4)) return null;
  if (new Set(components.map(({ id }) => id)).size < count) return null;
  const coding = code === BASELINE || code === EXTENDED ? 'sequential' : code === PROGRESSIVE ? 'progressive' : 'other';
  return { height: readU16(body, start + 1), width: readU16(body, start + 3), coding, components };
}

/** Adds the Huffman tables of a DHT segment. False when the segment is invalid. */
export function addTables(tables: Tables, body: Uint8Array, { start, end }: Segment): boolean {
  let offset = start;
  while (offset < end) {
    const lengths = body.subarray(offset + 1, offset + 17);
    const symbols = offset + 17;
    const next = symbols + lengths.reduce((sum, count) => sum + count, 0);
    const table = next > end ? null : makeTable(lengths, body.subarray(symbols, next));
    if (table === null) return false;
    tables.set(body[offset] ?? 0, table);
    offset = next;
  }
  return true;
}

/** The components that a scan has, in its order; null when its header is invalid. */
function componentsOf(body: Uint8Array, frame: Frame, { start, end }: Scan): Component[] | null {
  const count = body[start] ?? 0;
  if (end - start !== 4 + 2 * count) return null;
  const found: Component[] = [];
  for (let index = 0; index < count; index += 1) {
    const id = body[start + 1 + 2 * index];
    const component = frame.components.find((one) => one.id === id);
    if (component === undefined) return null;
    found.push(component);
  }
  return found.length === 0 ? null : found;
}

/** Notes which bits of which coefficients a scan sends. False when its header is invalid. */
export function noteScan(body: Uint8Array, frame: Frame, scan: Scan): boolean {
  const components = componentsOf(body, frame, scan);
  if (components === null) return false;
  const isSequential = frame.coding === 'sequential';
  const first = isSequential ? 0 : (body[scan.end - 3] ?? 0);
  const last = isSequential ? COEFFICIENTS - 1 : (body[scan.end - 2] ?? 0);
  const lowestBit = isSequential ? 0 : (body[scan.end - 1] ?? 0) & 0x0f;
  for (const { lowestBits } of components) lowestBits.fill(lowestBit, first, last + 1);
  return true;
}

/** True when the scans have sent every bit of every coefficient. */
export function hasAllScans(frame: Frame): boolean {
  return frame.components.every(({ lowestBits }) => lowestBits.every((bit) => bit === 0));
}

/** Zero bytes at the end of an interval of data. */
export interface Padding {
  readonly at: number;
  readonly length: number;
}

/**
 * Reads all blocks of a scan of a sequential frame, with `interval` minimum coded units between restart markers, 0
 * without them. Gives the zero bytes at the end of each interval; not those at the end of a scan of all components,
 * because decoders do not read on after it. Gives `damaged` when blocks are missing or wrong: the data ends too early, a
 * code is invalid, the number of restart markers is wrong, or other bytes than zeros stand before a restart marker. Gives
 * `unknown` when the file does not have the Huffman tables.
 */
export function readScanData(
  body: Uint8Array,
  frame: Frame,
  scan: Scan,
  tables: Tables,
  interval: number,
): readonly Padding[] | 'damaged' | 'unknown' {
  const components = componentsOf(body, frame, scan);
  if (components === null) return 'damaged';
  const unit = blocksOf(body, scan, tables, components);
  if (unit === null) return 'unknown';
  const units = unitsOf(frame, components);
  const each = interval === 0 ? units : interval;
  const intervals = Math.ceil(units / each);
  const { restarts, dataStart, dataEnd } = scan;
  // Some encoders write a restart marker after the last interval, too; it separates nothing.
  if (restarts.length !== intervals - 1 && restarts.length !== intervals) return 'damaged';
  const padding: Padding[] = [];
  let start = dataStart;
  for (let index = 0; index < intervals; index += 1) {
    const end = restarts[index] ?? dataEnd;
    const read = readInterval(body, start, end, unit, Math.min(each, units - index * each));
    if (read === null) return 'damaged';
    const { zerosFrom } = read;
    const isLast = index === intervals - 1;
    if (zerosFrom === null && !isLast) return 'damaged';
    const isRead = !isLast || components.length < frame.components.length;
    if (isRead && zerosFrom !== null && zerosFrom < end) padding.push({ at: zerosFrom, length: end - zerosFrom });
    start = end + 2;
  }
  return padding;
}

/** The tables of each block in a minimum coded unit (ITU-T T.81, section A.2). */
function blocksOf(
  body: Uint8Array,
  { start }: Scan,
  tables: Tables,
  components: readonly Component[],
): BlockTables[] | null {
  const blocks: BlockTables[] = [];
  for (const [index, { across, down }] of components.entries()) {
    const selectors = body[start + 2 + 2 * index] ?? 0;
    const dc = tables.get(selectors >> 4);
    const ac = tables.get(0x10 | (selectors & 0x0f));
    if (dc === undefined || ac === undefined) return null;
    const count = components.length === 1 ? 1 : across * down;
    for (let block = 0; block < count; block += 1) blocks.push({ dc, ac });
  }
  return blocks;
}

/** The number of minimum coded units in a scan (ITU-T T.81, section A.2). */
function unitsOf({ width, height, components: all }: Frame, components: readonly Component[]): number {
  const mostAcross = Math.max(...all.map(({ across }) => across));
  const mostDown = Math.max(...all.map(({ down }) => down));
  const [only, ...others] = components;
  if (only === undefined || others.length > 0) {
    return Math.ceil(width / (8 * mostAcross)) * Math.ceil(height / (8 * mostDown));
  }
  const across = Math.ceil(Math.ceil((width * only.across) / mostAcross) / 8);
  const down = Math.ceil(Math.ceil((height * only.down) / mostDown) / 8);
  return across * down;
}
