import { big, box, bytes, fullBox } from './hand-made.ts';
import { fileType, heif, type Item, ispe, reference, type Tile } from './heif-file.ts';

// HEVC pictures of 64 × 64 pixels. No package on npm encodes HEVC, so they are kept here: the mdat and the hvcC of files
// that pillow-heif 1.8.1 (x265 4.3, preset medium, chroma 444, quality 80 and 85) made of four flat quarters.

/** Red and green above, blue and white below. */
export const QUARTERS = tile(
  'AQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEAF0ABDAH//wQIAAADAJ44AAADAAAeugJAYQABACpCAQEECAAAAwCeOAAAAwAAHpAEECCy3UklNc3AQ0GBAAADABkAAAMAAQhiAAEACEQBwXKGDAIk',
  'AAAAPygBrwT4QTJp2//Jh////K9d2X+TE0F+5/P6Pf/39VP//ZiOzT7/iw/o39MsN//1xsLYzf+DDWw/suBf/5V3+A==',
);
/** The same in 10 bits, 4:2:0. */
export const TEN_BITS = tile(
  'AQQIAAAAnbgAAAAAHvAA/P36+gAADwNgAAEAF0ABDAH//wQIAAADAJ24AAADAAAeugJAYQABAClCAQEECAAAAwCduAAAAwAAHqAggQTZbqSSmubgIaDAgAAADIAAAAMAhGIAAQAHRAHBcrAiQA==',
  'AAAAPigBrwT4QTJp2//JI////LHx2X+TyiF+5/PpR//4Aof//ZppzT7/i3fo39NQWf/11Eg0v/0OS//4QnWPxSA4',
);
/** (201, 80, 61) and (60, 180, 90) above, (90, 100, 211) and (128, 128, 128) below. */
export const MUTED = tile(
  'AQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEAF0ABDAH//wQIAAADAJ44AAADAAAeugJAYQABACpCAQEECAAAAwCeOAAAAwAAHpAEECCy3UklNc3AQ0GBAAADABkAAAMAAQhiAAEACEQBwXKGDAIk',
  'AAAAOSgBrwW4VmY3XfvOPf//Dr/of3dOGZ+/ly/fd13//34lVHO9ydI36dzt/+/7pIe+qoET1ukOvrVLIA==',
);
/** Monochrome: 255 in the left half, 64 in the right one. */
export const GREY = tile(
  'AQQIAAAAn/gAAAAAHvAA/Pz4+AAADwNgAAEAF0ABDAH//wQIAAADAJ/4AAADAAAeugJAYQABACZCAQEECAAAAwCf+AAAAwAAHsCCBBZbqSSmubAgAAADAyAAAAMAIWIAAQAHRAHBcrAiQA==',
  'AAAAGSgBrgnwZDyVtP73qF6g/9pImD85f+iWL4A=',
);

const HEIC = fileType('heic', 'mif1', 'heic', 'miaf');

function tile(configuration: string, data: string): Tile {
  return { configuration: box('hvcC', Buffer.from(configuration, 'base64')), data: Buffer.from(data, 'base64') };
}

/** An item of 64 × 64 pixels with more properties. */
export function hevcItem({ data, configuration }: Tile, ...more: readonly Buffer[]): Item {
  return { type: 'hvc1', data, properties: [configuration, ispe(64, 64), ...more] };
}

/** A HEIC of one item with more properties. */
export function heic(picture: Tile, ...more: readonly Buffer[]): Buffer {
  return heif([hevcItem(picture, ...more)], [], HEIC);
}

/** A HEIC of columns × rows times the same tile, cut to a size, with more properties. */
export function heicGrid(
  picture: Tile,
  columns: number,
  rows: number,
  size: readonly [number, number],
  ...more: Buffer[]
) {
  const layout = bytes(0, 0, rows - 1, columns - 1, big(size[0], 2), big(size[1], 2));
  const grid: Item = { type: 'grid', data: layout, properties: [ispe(...size), ...more] };
  const tiles = Array.from({ length: columns * rows }, () => hevcItem(picture));
  return heif([grid, ...tiles], [reference('dimg', 1, ...tiles.map((_, index) => index + 2))], HEIC);
}

/** A HEIC whose alpha channel is another item; `premultiplied` as HEIF's prem reference says it. */
export function heicWithAlpha(picture: Tile, alpha: Tile, premultiplied = false): Buffer {
  const auxC = fullBox('auxC', 'urn:mpeg:hevc:2015:auxid:1', 0);
  const references = [reference('auxl', 2, 1), ...(premultiplied ? [reference('prem', 1, 2)] : [])];
  return heif([hevcItem(picture), hevcItem(alpha, auxC)], references, HEIC);
}

/** A property: an ICC profile. */
export function profile(icc: Uint8Array): Buffer {
  return box('colr', 'prof', icc);
}

/** A property: colour primaries by their number in ITU-T H.273, with sRGB's curve, full range. */
export function primaries(number: number): Buffer {
  return box('colr', 'nclx', big(number, 2), big(13, 2), big(6, 2), 0x80);
}
