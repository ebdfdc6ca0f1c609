import { DarkroomError, expectedMessage } from '../../../shared/errors.ts';
import type { ImageHeader } from '../../../shared/image-header.ts';

/** The IMAGE_CORRUPT for a header that is not what its format says. */
export function corrupt(expected: string, name: string, received: unknown): DarkroomError {
  return new DarkroomError('IMAGE_CORRUPT', expectedMessage(expected, name, received));
}

/** The UNSUPPORTED_IMAGE for a well-formed picture of a kind that libvips does not decode. */
export function unsupported(expected: string, name: string, received: unknown): DarkroomError {
  return new DarkroomError('UNSUPPORTED_IMAGE', expectedMessage(expected, name, received));
}

/** No format and no decoder goes beyond a signed 32-bit number. */
const MOST_SIDE = 0x7fff_ffff;

/** What most pictures are; a format's reader states where its picture differs. */
const USUAL = { frames: 1, depth: 8, alpha: false, progressive: false, orientation: 1 } as const;

/**
 * The header of a picture stored as `width` × `height` pixels, turned upright as its orientation says. Throws
 * IMAGE_CORRUPT when a side is zero or beyond 2³¹ − 1.
 */
export function imageHeader(
  stored: Pick<ImageHeader, 'format' | 'width' | 'height' | 'channels'> & Partial<ImageHeader>,
): ImageHeader {
  const header = { ...USUAL, ...stored };
  const { width, height } = stored;
  if (Math.min(width, height) < 1 || Math.max(width, height) > MOST_SIDE) {
    throw corrupt(`1 to ${MOST_SIDE} pixels a side`, `the ${stored.format} header`, `${width}×${height}`);
  }
  const lies = header.orientation >= 5;
  return { ...header, width: lies ? height : width, height: lies ? width : height };
}
