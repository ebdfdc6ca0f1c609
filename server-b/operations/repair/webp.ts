import { DAMAGED, type Edit, type Examination } from './edits.ts';

/** `RIFF`, the length of what follows, `WEBP` (RFC 9649, section 2.3). */
const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
/** The shortest chunk of a frame: its header, its place and duration, and the header of the picture inside. */
const SHORTEST_FRAME_BYTES = 32;
/** Lengths that writers use while they do not know how long the file will be. */
const UNKNOWN_LENGTHS = 0xffff_fff0;
/** The types of chunks (RFC 9649, section 2.7). */
const CHUNKS: ReadonlySet<string> = new Set(['VP8 ', 'VP8L', 'VP8X', 'ALPH', 'ANIM', 'ANMF', 'ICCP', 'EXIF', 'XMP ']);

/**
 * Finds a wrong length in the RIFF header of a WebP, which libwebp refuses, and a missing padding byte at its end. The
 * chunks must reach to the end of the file: otherwise one of them may be damaged, and with it all behind it. An animation
 * must reach as far as its header says: it may have been cut between two frames.
 */
export function examineWebp(body: Uint8Array): Examination {
  const view = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let end = RIFF_HEADER_BYTES;
  let isAnimation = false;
  while (end + CHUNK_HEADER_BYTES <= view.length) {
    const type = view.toString('latin1', end, end + 4);
    const length = view.readUInt32LE(end + 4);
    const isWhole = end + CHUNK_HEADER_BYTES + length <= view.length;
    if (!isWhole || !CHUNKS.has(type)) return DAMAGED;
    isAnimation ||= type === 'ANMF';
    end += CHUNK_HEADER_BYTES + length + (length % 2);
  }
  if (end === RIFF_HEADER_BYTES) return DAMAGED;
  const length = view.readUInt32LE(4);
  const lacksFrame = length >= end - 8 + SHORTEST_FRAME_BYTES && length < UNKNOWN_LENGTHS;
  if (isAnimation && lacksFrame) return DAMAGED;
  const edits: Edit[] = [];
  const warnings: string[] = [];
  if (length !== end - 8) {
    const corrected = Buffer.alloc(4);
    corrected.writeUInt32LE(end - 8);
    edits.push({ at: 4, remove: 4, insert: corrected });
    warnings.push('Corrected the length in the WebP header.');
  }
  if (end > view.length) {
    edits.push({ at: view.length, remove: 0, insert: new Uint8Array(1) });
    warnings.push('Added the missing padding byte at the end of the WebP.');
  }
  return { edits, warnings, pixels: 'whole' };
}
