import type { Format } from '../../shared/operations/format.ts';

/** Bytes of a GIF's header and screen (GIF89a, sections 17 and 18), and of a frame's descriptor (section 20). */
const GIF_SCREEN_BYTES = 13;
const GIF_DESCRIPTOR_BYTES = 10;
const GIF_FRAME = 0x2c;
const GIF_EXTENSION = 0x21;
/** Bytes before the first chunk of a WebP, and before the data of each (RFC 9649, section 2.3). */
const WEBP_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;

/** Frames in a picture that we have encoded. The encoders of GIF and WebP join equal frames and add up their delays. */
export function countEncodedFrames(format: Format, picture: Buffer): number {
  if (format === 'gif') return Math.max(1, countGifFrames(picture));
  return format === 'webp' ? Math.max(1, countWebpFrames(picture)) : 1;
}

function countGifFrames(gif: Buffer): number {
  let frames = 0;
  let offset = GIF_SCREEN_BYTES + colourTableBytes(gif[10]);
  while (offset < gif.length) {
    if (gif[offset] === GIF_FRAME) {
      frames += 1;
      // One byte, the size of the LZW codes, follows the colours.
      offset += GIF_DESCRIPTOR_BYTES + colourTableBytes(gif[offset + 9]) + 1;
    } else if (gif[offset] === GIF_EXTENSION) {
      offset += 2;
    } else {
      break;
    }
    offset = afterSubBlocks(gif, offset);
  }
  return frames;
}

/** The offset after a chain of sub-blocks, which an empty one ends. */
function afterSubBlocks(gif: Buffer, start: number): number {
  let offset = start;
  for (let length = gif[offset] ?? 0; length > 0; length = gif[offset] ?? 0) offset += 1 + length;
  return offset + 1;
}

/** Bytes of the colour table that a packed field announces. */
function colourTableBytes(packed = 0): number {
  return packed & 0x80 ? 3 * (2 << (packed & 0x07)) : 0;
}

function countWebpFrames(webp: Buffer): number {
  let frames = 0;
  for (let offset = WEBP_HEADER_BYTES; offset + CHUNK_HEADER_BYTES <= webp.length; ) {
    if (webp.toString('latin1', offset, offset + 4) === 'ANMF') frames += 1;
    const length = webp.readUInt32LE(offset + 4);
    offset += CHUNK_HEADER_BYTES + length + (length % 2);
  }
  return frames;
}
