import { crc32 } from 'node:zlib';

/** Joins numbers (one byte each), texts (Latin-1) and buffers. */
export function bytes(...parts: readonly (number | string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return Buffer.of(part);
      return typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
    }),
  );
}

/** A whole number in so many bytes, big-endian. */
export function big(value: number, length: 1 | 2 | 3 | 4): Buffer {
  const buffer = Buffer.alloc(length);
  buffer.writeUIntBE(value, 0, length);
  return buffer;
}

/** A whole number in so many bytes, little-endian. */
export function little(value: number, length: 1 | 2 | 3 | 4): Buffer {
  return big(value, length).reverse();
}

/** A field of a TIFF directory: its tag, its type (2 ASCII, 3 short, 4 long) and its values. */
export type Field = readonly [tag: number, type: 2 | 3 | 4, ...values: number[]];

/** Bytes of one value of a TIFF field. */
export function valueBytes(type: 2 | 3 | 4): 1 | 2 | 4 {
  if (type === 2) return 1;
  return type === 3 ? 2 : 4;
}

/** A TIFF structure of one directory, with room for 64 kB of uncompressed samples after it. */
export function tiff(fields: readonly Field[], order: 'II' | 'MM' = 'II', samples = 65_536): Buffer {
  const number = order === 'II' ? little : big;
  const sorted = [...fields].sort((left, right) => left[0] - right[0]);
  const values = sorted.map(([, type, ...list]) => bytes(...list.map((value) => number(value, valueBytes(type)))));
  let free = 8 + 2 + 12 * sorted.length + 4;
  const entries: Buffer[] = [];
  const outside: Buffer[] = [];
  sorted.forEach(([tag, type, ...list], index) => {
    const value = values[index] ?? Buffer.alloc(0);
    const slot = value.length > 4 ? number(free, 4) : bytes(value, Buffer.alloc(4 - value.length));
    if (value.length > 4) {
      outside.push(value);
      free += value.length;
    }
    entries.push(bytes(number(tag, 2), number(type, 2), number(list.length, 4), slot));
  });
  const directory = bytes(number(sorted.length, 2), ...entries, number(0, 4));
  return bytes(order, number(42, 2), number(8, 4), directory, ...outside, Buffer.alloc(samples));
}

/** A TIFF picture of 40 × 20 pixels in one uncompressed strip; `fields` are added to the usual ones or replace them. */
export function tiffPicture(fields: readonly Field[], order: 'II' | 'MM' = 'II'): Buffer {
  const usual: readonly Field[] = [
    [256, 3, 40],
    [257, 3, 20],
    [259, 3, 1],
    [262, 3, 1],
    [277, 3, 1],
    [278, 3, 20],
    [279, 4, 16_000],
  ];
  const given = new Set(fields.map(([tag]) => tag));
  const all = [...usual.filter(([tag]) => !given.has(tag)), ...fields];
  const withStrip = (offset: number): Field[] => [...all, [273, 4, offset]];
  return tiff(withStrip(tiff(withStrip(0), order, 0).length), order);
}

/** An EXIF block's TIFF structure with an orientation. */
export function exif(orientation: number, order: 'II' | 'MM' = 'II'): Buffer {
  return tiff([[274, 3, orientation]], order, 0);
}

/** A JPEG segment. */
export function segment(code: number, ...content: readonly (string | Uint8Array)[]): Buffer {
  const data = bytes(...content);
  return bytes(0xff, code, big(data.length + 2, 2), data);
}

/** A JPEG frame header; `code` 0xc0 is baseline. */
export function frameHeader(width: number, height: number, code = 0xc0, precision = 8): Buffer {
  return segment(code, bytes(precision, big(height, 2), big(width, 2), 1, 1, 0x11, 0));
}

/** The header of a JPEG's only scan, of one component. */
export function scanHeader(): Buffer {
  return segment(0xda, bytes(1, 1, 0, 0, 63, 0));
}

/** The picture with segments inserted right after its SOI. */
export function withSegments(jpeg: Uint8Array, ...segments: readonly Uint8Array[]): Buffer {
  return bytes(jpeg.subarray(0, 2), ...segments, jpeg.subarray(2));
}

/** A PNG chunk. */
export function chunk(type: string, data: Uint8Array = new Uint8Array()): Buffer {
  const content = bytes(type, data);
  return bytes(big(data.length, 4), content, big(crc32(content), 4));
}

/** A PNG's signature and IHDR. */
export function pngStart(width: number, height: number, depth: number, colourType: number, interlace = 0): Buffer {
  const header = bytes(big(width, 4), big(height, 4), depth, colourType, 0, 0, interlace);
  return bytes('\x89PNG\r\n\x1a\n', chunk('IHDR', header));
}

/** A GIF's header and screen, without colours. */
export function gifStart(width: number, height: number): Buffer {
  return bytes('GIF89a', little(width, 2), little(height, 2), 0, 0, 0);
}

/** A GIF frame of one pixel's data; `packed` 0x40 is interlaced. */
export function gifFrame(width: number, height: number, packed = 0): Buffer {
  return bytes(0x2c, little(0, 4), little(width, 2), little(height, 2), packed, 2, 2, 0x4c, 0x01, 0);
}

/** A RIFF chunk. */
export function riffChunk(type: string, data: Uint8Array): Buffer {
  return bytes(type, little(data.length, 4), data, Buffer.alloc(data.length % 2));
}

/** An extended WebP; `flags` 0x02 is animated, 0x08 has EXIF, 0x10 has alpha. */
export function webp(flags: number, width: number, height: number, ...chunks: readonly Uint8Array[]): Buffer {
  const header = riffChunk('VP8X', bytes(little(flags, 4), little(width - 1, 3), little(height - 1, 3)));
  return riffChunk('RIFF', bytes('WEBP', header, ...chunks));
}

/** An ISO base media box. */
export function box(type: string, ...content: readonly (number | string | Uint8Array)[]): Buffer {
  const data = bytes(...content);
  return bytes(big(data.length + 8, 4), type, data);
}

/** A box with a version and flags of 0. */
export function fullBox(type: string, ...content: readonly (number | string | Uint8Array)[]): Buffer {
  return box(type, big(0, 4), ...content);
}
