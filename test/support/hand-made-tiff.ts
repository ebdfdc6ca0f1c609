import { bytes, type Field, little, valueBytes } from './hand-made.ts';

/** One directory of a TIFF with its picture: uncompressed samples of 8 or 16 bits, in one strip. */
export interface TiffPage {
  readonly width: number;
  readonly height: number;
  /** Samples of all pixels, interleaved. */
  readonly samples: Uint8Array | Uint16Array;
  /** PhotometricInterpretation: 1 grey, 2 RGB, 5 CMYK. */
  readonly photometric: number;
  /** ExtraSamples (tag 338); without it the tag is not written. */
  readonly extras?: readonly number[];
  /** Further fields, or others instead of the usual ones. */
  readonly fields?: readonly Field[];
  /** Directories that tag 330 leads to. */
  readonly subifds?: readonly TiffPage[];
}

/** A little-endian TIFF with one directory for each page, all in one chain. */
export function tiffOf(...pages: readonly TiffPage[]): Buffer {
  const parts = [bytes('II', little(42, 2), little(0, 4))];
  const links: [at: number, target: number][] = [];
  let link = 4;
  for (const page of pages) {
    const subifds = (page.subifds ?? []).map((sub) => append(parts, sub, []).start);
    const { start, next } = append(parts, page, subifds);
    links.push([link, start]);
    link = next;
  }
  const file = Buffer.concat(parts);
  for (const [at, target] of links) file.writeUInt32LE(target, at);
  return file;
}

/** Appends a directory, the values that do not fit into it, and its samples. Gives the offsets of it and of its link. */
function append(parts: Buffer[], page: TiffPage, subifds: readonly number[]): { start: number; next: number } {
  const start = parts.reduce((sum, part) => sum + part.length, 0);
  const all = fieldsOf(page, subifds);
  const next = start + 2 + 12 * all.length;
  const entries: Buffer[] = [];
  const outside: Buffer[] = [];
  let free = next + 4;
  const values = all.map(([, type, ...list]) => Buffer.concat(list.map((value) => little(value, valueBytes(type)))));
  const samplesAt = free + values.reduce((sum, value) => sum + (value.length > 4 ? value.length : 0), 0);
  all.forEach(([tag, type, ...list], index) => {
    const value = tag === STRIP_OFFSETS ? little(samplesAt, 4) : (values[index] ?? Buffer.alloc(0));
    const slot = value.length > 4 ? little(free, 4) : bytes(value, Buffer.alloc(4 - value.length));
    if (value.length > 4) outside.push(value);
    if (value.length > 4) free += value.length;
    entries.push(bytes(little(tag, 2), little(type, 2), little(list.length, 4), slot));
  });
  const { buffer, byteOffset, byteLength } = page.samples;
  const samples = Buffer.from(buffer, byteOffset, byteLength);
  // A directory starts at an even offset.
  parts.push(bytes(little(all.length, 2), ...entries, little(0, 4), ...outside, samples, Buffer.alloc(byteLength % 2)));
  return { start, next };
}

const STRIP_OFFSETS = 273;

function fieldsOf({ width, height, samples, photometric, extras, fields = [] }: TiffPage, subifds: readonly number[]) {
  const count = samples.length / (width * height);
  const usual: Field[] = [
    [256, 3, width],
    [257, 3, height],
    [258, 3, ...Array.from({ length: count }, () => 8 * samples.BYTES_PER_ELEMENT)],
    [259, 3, 1],
    [262, 3, photometric],
    [STRIP_OFFSETS, 4, 0],
    [277, 3, count],
    [278, 3, height],
    [279, 4, samples.byteLength],
  ];
  if (extras !== undefined) usual.push([338, 3, ...extras]);
  if (subifds.length > 0) usual.push([330, 4, ...subifds]);
  const given = new Set(fields.map(([tag]) => tag));
  return [...usual.filter(([tag]) => !given.has(tag)), ...fields].sort((one, other) => one[0] - other[0]);
}
