import { crc32 } from 'node:zlib';
import { counted, DAMAGED, type Edit, type Examination } from './edits.ts';

const SIGNATURE_BYTES = 8;
const CHECKSUM_BYTES = 4;
/** Chunks whose damage changes pixels or their meaning without an error of the decoder. */
const CRITICAL: ReadonlySet<string> = new Set(['IHDR', 'PLTE']);
const END_CHUNK = Uint8Array.of(0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82);

/**
 * Finds wrong checksums of a PNG's picture data, and its missing end (PNG third edition, section 5.3). Both cost no
 * pixel where the zlib stream inside is complete, which has a checksum of its own, so a strict decode shows the rest.
 * libpng itself accepts wrong checksums of ancillary chunks and a missing IEND.
 */
export function examinePng(body: Uint8Array): Examination {
  const view = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const edits: Edit[] = [];
  let checksums = 0;
  let isCut = false;
  let offset = SIGNATURE_BYTES;
  while (offset + 8 <= view.length) {
    const type = view.toString('latin1', offset + 4, offset + 8);
    const end = offset + 8 + view.readUInt32BE(offset);
    if (type === 'IEND') break;
    if (end + CHECKSUM_BYTES > view.length) {
      if (type !== 'IDAT') return DAMAGED;
      edits.push(...completeData(view, offset, Math.min(end, view.length)));
      isCut = true;
      break;
    }
    const isData = type === 'IDAT';
    if ((isData || CRITICAL.has(type)) && view.readUInt32BE(end) !== crc32(view.subarray(offset + 4, end))) {
      if (!isData) return DAMAGED;
      checksums += 1;
      edits.push({ at: end, remove: CHECKSUM_BYTES, insert: checksumOf(view.subarray(offset + 4, end)) });
    }
    offset = end + CHECKSUM_BYTES;
  }
  const warnings: string[] = [];
  if (checksums > 0) warnings.push(`Corrected ${counted(checksums, 'checksum')} of PNG picture data.`);
  if (isCut) warnings.push('Added the missing end of the PNG.');
  return { edits, warnings, pixels: 'whole' };
}

/** Makes a chunk of the data that a last IDAT chunk has left, and adds the end of the file. */
function completeData(view: Buffer, offset: number, end: number): Edit[] {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(end - offset - 8);
  const ending = Buffer.concat([checksumOf(view.subarray(offset + 4, end)), END_CHUNK]);
  return [
    { at: offset, remove: 4, insert: length },
    { at: end, remove: view.length - end, insert: ending },
  ];
}

function checksumOf(typeAndData: Uint8Array): Buffer {
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32BE(crc32(typeAndData));
  return checksum;
}
