import sharp from 'sharp';
import { big, box, bytes, fullBox } from './hand-made.ts';

// HEIF files put together from items, and coded pictures to fill them.

const HDLR = fullBox('hdlr', big(0, 4), 'pict', Buffer.alloc(13));

/** A coded picture with its codec configuration, a property. */
export interface Tile {
  readonly data: Buffer;
  readonly configuration: Buffer;
}

/** An item of a HEIF file. */
export interface Item {
  readonly type: string;
  readonly data: Buffer;
  readonly properties: readonly Buffer[];
}

/** A file type box. */
export function fileType(major: string, ...compatible: readonly string[]): Buffer {
  return box('ftyp', major, big(0, 4), ...compatible);
}

const AVIF = fileType('avif', 'mif1', 'avif', 'miaf');

/** A picture of 64 × 48 pixels as AV1, taken out of an AVIF that sharp makes. */
export async function makeTile(bitdepth: 8 | 10 | 12): Promise<Tile> {
  const picture = sharp({ create: { width: 64, height: 48, channels: 3, background: 'teal' } });
  const file = await picture.avif({ bitdepth }).toBuffer();
  return { data: contentOf(file, 'mdat'), configuration: box('av1C', contentOf(file, 'av1C').subarray(0, 4)) };
}

function contentOf(file: Buffer, type: string): Buffer {
  const name = file.indexOf(type, 0, 'latin1');
  return file.subarray(name + 4, name - 4 + file.readUInt32BE(name - 4));
}

/** A property: the size before other properties apply. */
export function ispe(width: number, height: number): Buffer {
  return fullBox('ispe', big(width, 4), big(height, 4));
}

/** A property: a crop around the centre. */
export function clap(width: number, height: number): Buffer {
  const fraction = (value: number) => bytes(big(value, 4), big(1, 4));
  return box('clap', fraction(width), fraction(height), fraction(0), fraction(0));
}

/** A property: bits per channel. */
export const pixi = (bits: number) => fullBox('pixi', 3, bits, bits, bits);

/** A HEIF file of items numbered from 1, the first of them primary, with `references` among them; AVIF by its brands. */
export function heif(items: readonly Item[], references: readonly Buffer[] = [], type = AVIF): Buffer {
  const properties = items.flatMap((item) => item.properties);
  let next = 1;
  const associations = items.map((item, index) => {
    const numbers = item.properties.map(() => 0x80 | next++);
    return bytes(big(index + 1, 2), numbers.length, ...numbers);
  });
  const entries = items.map((item, index) => infe(index + 1, item.type));
  const meta = (start: number) =>
    fullBox(
      'meta',
      HDLR,
      fullBox('pitm', big(1, 2)),
      fullBox('iinf', big(items.length, 2), ...entries),
      references.length > 0 ? fullBox('iref', ...references) : '',
      box('iprp', box('ipco', ...properties), fullBox('ipma', big(items.length, 4), ...associations)),
      iloc(items, start),
    );
  const start = type.length + meta(0).length + 8;
  return bytes(type, meta(start), box('mdat', ...items.map((item) => item.data)));
}

function infe(id: number, type: string): Buffer {
  return box('infe', 2, 0, 0, 0, big(id, 2), big(0, 2), type, 0);
}

function iloc(items: readonly Item[], start: number): Buffer {
  let offset = start;
  const locations = items.map((item, index) => {
    const location = bytes(big(index + 1, 2), big(0, 2), big(1, 2), big(offset, 4), big(item.data.length, 4));
    offset += item.data.length;
    return location;
  });
  return fullBox('iloc', 0x44, 0, big(items.length, 2), ...locations);
}

/** A reference between items. */
export function reference(type: string, from: number, ...to: readonly number[]): Buffer {
  return box(type, big(from, 2), big(to.length, 2), ...to.map((id) => big(id, 2)));
}
