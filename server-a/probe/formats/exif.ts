import { DarkroomError } from '../../../shared/errors.ts';
import type { ByteReader } from '../byte-reader.ts';
import { firstDirectory, openTiff, readDirectory, readNumber, type TiffField } from './tiff-directory.ts';

const ORIENTATION_TAG = 0x0112;
/** The bytes before the TIFF header in a JPEG, often in a WebP, and never in a PNG. */
export const EXIF_PREFIX = 'Exif\0\0';

/**
 * The orientation, 1 to 8, in the EXIF block whose TIFF header is at `start` (CIPA DC-008, tag 0x0112). 1 when the
 * block has none or is damaged: the picture can still be decoded, and libvips ignores the block, too.
 */
export async function readExifOrientation(reader: ByteReader, start: number, end: number): Promise<number> {
  const tiff = await orNothing(openTiff(reader, start, end));
  const directory = tiff && (await orNothing(firstDirectory(tiff)));
  if (tiff === null || directory === null) return 1;
  let orientation: TiffField | undefined;
  await orNothing(
    readDirectory(tiff, directory, (field) => {
      if (field.tag === ORIENTATION_TAG) orientation ??= field;
    }),
  );
  return orientation === undefined ? 1 : validOrientation((await orNothing(readNumber(tiff, orientation))) ?? 1);
}

/** What a reader gives; null where the block is damaged. */
async function orNothing<Value>(reading: Promise<Value>): Promise<Value | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'IMAGE_CORRUPT') return null;
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
