/** Bytes of a PNG before its first chunk, and of a chunk without its data: length, type, CRC. */
const SIGNATURE_BYTES = 8;
const CHUNK_FRAME_BYTES = 12;

/**
 * A copy of a PNG without its pHYs chunk (PNG, third edition, section 11.3.4.3). libvips writes the input's density to
 * that chunk, or 25.4 dpi if there is none. So a picture made from decoded pixels would have different bytes.
 */
export function withoutDensity(png: Buffer): Uint8Array<ArrayBuffer> {
  for (let offset = SIGNATURE_BYTES; offset + CHUNK_FRAME_BYTES <= png.length; ) {
    const type = png.toString('latin1', offset + 4, offset + 8);
    const end = offset + CHUNK_FRAME_BYTES + png.readUInt32BE(offset);
    if (type === 'IDAT') break;
    if (type === 'pHYs') {
      const copy = new Uint8Array(png.length - (end - offset));
      copy.set(png.subarray(0, offset));
      copy.set(png.subarray(end), offset);
      return copy;
    }
    offset = end;
  }
  return new Uint8Array(png);
}
