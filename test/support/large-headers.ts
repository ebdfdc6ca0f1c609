import { big, box, bytes, fullBox, segment } from './hand-made.ts';

// Headers of large pictures, without their pixels. Server A reads no more than this before it gives an id.

/** A progressive JPEG of three components, 4:2:0. */
export function progressiveJpeg(width: number, height: number): Buffer {
  const components = [1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1].map((value) => big(value, 1));
  const frame = segment(0xc2, bytes(8, big(height, 2), big(width, 2), 3, ...components));
  const scan = segment(0xda, bytes(3, 1, 0, 2, 0, 3, 0, 0, 0, 0));
  return bytes(0xff, 0xd8, frame, scan, 0, 0xff, 0xd9);
}

/** An AVIF of one item, 8 bits. */
export function avif(width: number, height: number): Buffer {
  const brands = box('ftyp', 'avif', big(0, 4), 'mif1', 'avif', 'miaf');
  const size = fullBox('ispe', big(width, 4), big(height, 4));
  const properties = box('ipco', size, fullBox('pixi', 3, 8, 8, 8), box('av1C', 0x81, 0, 0x0c, 0));
  const association = fullBox('ipma', big(1, 4), big(1, 2), 3, 0x81, 0x82, 0x83);
  const meta = (offset: number) =>
    fullBox(
      'meta',
      fullBox('hdlr', big(0, 4), 'pict', Buffer.alloc(13)),
      fullBox('pitm', big(1, 2)),
      fullBox('iinf', big(1, 2), box('infe', 2, 0, 0, 0, big(1, 2), big(0, 2), 'av01', 0)),
      box('iprp', properties, association),
      fullBox('iloc', 0x44, 0, big(1, 2), big(1, 2), big(0, 2), big(1, 2), big(offset, 4), big(4, 4)),
    );
  return bytes(brands, meta(brands.length + meta(0).length + 8), box('mdat', 0x0a, 0, 0, 0));
}
