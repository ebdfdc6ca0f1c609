import type { Raster } from '../raster.ts';

/** A field of a TIFF directory: tag, type (3 short, 4 long, 7 undefined), number of values, value or its offset. */
type Field = readonly [tag: number, type: 3 | 4 | 7, count: number, value: number];

const HEADER_BYTES = 8;
const FIELD_BYTES = 12;

/**
 * Pixels with an ICC profile as an uncompressed TIFF of one strip (TIFF 6.0; ICC.1:2022, annex B.4), so that libvips
 * converts their colours while it reads them.
 */
export function withProfile({ pixels, width, height, channels }: Raster, icc: Uint8Array): Buffer {
  const fields = (strip: number, bits: number, profile: number): Field[] => [
    [256, 4, 1, width],
    [257, 4, 1, height],
    [258, 3, channels, bits],
    [259, 3, 1, 1],
    [262, 3, 1, 2],
    [273, 4, 1, strip],
    [277, 3, 1, channels],
    [278, 4, 1, height],
    [279, 4, 1, pixels.length],
    ...(channels === 4 ? [[338, 3, 1, 2] as const] : []),
    [34_675, 7, icc.length, profile],
  ];
  const bits = HEADER_BYTES + 2 + fields(0, 0, 0).length * FIELD_BYTES + 4;
  const profile = bits + 2 * channels;
  const strip = even(profile + icc.length);
  const file = Buffer.alloc(strip + pixels.length);
  file.write('II*\0', 'latin1');
  file.writeUInt32LE(HEADER_BYTES, 4);
  let offset = file.writeUInt16LE(fields(0, 0, 0).length, HEADER_BYTES);
  for (const [tag, type, count, value] of fields(strip, bits, profile)) {
    offset = file.writeUInt16LE(tag, offset);
    offset = file.writeUInt16LE(type, offset);
    offset = file.writeUInt32LE(count, offset);
    offset = file.writeUInt32LE(value, offset);
  }
  for (let channel = 0; channel < channels; channel += 1) file.writeUInt16LE(8, bits + 2 * channel);
  file.set(icc, profile);
  file.set(pixels, strip);
  return file;
}

function even(offset: number): number {
  return offset + (offset % 2);
}
