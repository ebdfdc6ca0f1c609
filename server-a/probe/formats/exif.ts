import { DarkroomError } from '../../../shared/errors.ts';
import type { ByteReader } from '../byte-reader.ts';
import { firstDirectory, openTiff, readNumber } from './tiff-directory.ts';

const ORIENTATION_TAG = 0x0112;
/** The bytes before the TIFF header in a JPEG, often in a WebP, and never in a PNG. */
export const EXIF_PREFIX = 'Exif\0\0';

/**
 * The orientation, 1 to 8, in the EXIF block whose TIFF header is at `start` (CIPA DC-008, tag 0x0112). 1 when the
 * block has none or is damaged: the picture can still be decoded, and libvips ignores the block, too.
 */
export async function readExifOrientation(reader: ByteReader, start: number, end: number): Promise<number> {
  try {
    const tiff = await openTiff(reader, start, end);
    for await (const field of firstDirectory(tiff)) {
      if (field.tag === ORIENTATION_TAG) return validOrientation(await readNumber(tiff, field));
    }
    return 1;
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'IMAGE_CORRUPT') return 1;
    throw error;
  }
}

/** True when the bytes between `start` and `end` start with {@link EXIF_PREFIX}. */
export async function hasExifPrefix(reader: ByteReader, start: number, end: number): Promise<boolean> {
  if (Math.min(end, reader.size) - start < EXIF_PREFIX.length) return false;
  await reader.need(start, EXIF_PREFIX.length, 'the EXIF block');
  return reader.latin1(start, EXIF_PREFIX.length) === EXIF_PREFIX;
}

/** The orientation if it is 1 to 8; otherwise 1, upright. */
export function validOrientation(orientation: number | undefined): number {
  return orientation !== undefined && orientation >= 1 && orientation <= 8 ? orientation : 1;
}
