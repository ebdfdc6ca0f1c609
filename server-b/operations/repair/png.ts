import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflate } from 'node:zlib';
import { counted, DAMAGED, type Edit, type Examination } from './edits.ts';

const SIGNATURE_BYTES = 8;
const CHECKSUM_BYTES = 4;
/** Chunks whose damage changes pixels or their meaning without an error of the decoder. */
const CRITICAL: ReadonlySet<string> = new Set(['IHDR', 'PLTE']);
const END_CHUNK = Uint8Array.of(0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82);

/**
 * Finds wrong checksums of a PNG's picture data, and its missing end (PNG third edition, section 5.3). Both cost no
 * pixel where the zlib stream inside is whole, which has a checksum of its own; so it is inflated once, because libpng
 * does not read that checksum. libpng itself accepts wrong checksums of ancillary chunks and a missing IEND.
 */
export async function examinePng(body: Uint8Array): Promise<Examination> {
  const view = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const edits: Edit[] = [];
  const data: Uint8Array[] = [];
  let checksums = 0;
  let isCut = false;
  let offset = SIGNATURE_BYTES;
  while (offset + 8 <= view.length) {
    const type = view.toString('latin1', offset + 4, offset + 8);
    const end = offset + 8 + view.readUInt32BE(offset);
    if (type === 'IEND') break;
    if (end + CHECKSUM_BYTES > view.length) {
      if (type !== 'IDAT') return DAMAGED;
      const cut = Math.min(end, view.length);
      data.push(view.subarray(offset + 8, cut));
      edits.push(...completeData(view, offset, cut));
      isCut = true;
      break;
    }
    const isData = type === 'IDAT';
    if (isData) data.push(view.subarray(offset + 8, end));
    if ((isData || CRITICAL.has(type)) && view.readUInt32BE(end) !== crc32(view.subarray(offset + 4, end))) {
      if (!isData) return DAMAGED;
      checksums += 1;
      edits.push({ at: end, remove: CHECKSUM_BYTES, insert: checksumOf(view.subarray(offset + 4, end)) });
    }
    offset = end + CHECKSUM_BYTES;
  }
  if (edits.length > 0 && !(await isWholeStream(data))) return DAMAGED;
  const warnings: string[] = [];
  if (checksums > 0) warnings.push(`Corrected ${counted(checksums, 'checksum')} of PNG picture data.`);
  if (isCut) warnings.push('Added the missing end of the PNG.');
  return { edits, warnings, pixels: 'whole' };
}

/** True when the pieces are a zlib stream with the right checksum (RFC 1950). Its content is not kept. */
async function isWholeStream(pieces: readonly Uint8Array[]): Promise<boolean> {
  const drop = new Writable({ write: (_content, _encoding, done) => done() });
  try {
    await pipeline(pieces, createInflate(), drop);
    return true;
  } catch {
    return false;
  }
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
