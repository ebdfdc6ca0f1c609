import { DarkroomError, expectedMessage } from '../../../shared/errors.ts';
import type { ImageHeader } from '../../../shared/image-header.ts';

/** The IMAGE_CORRUPT for a header that breaks the rules of its format. */
export function corrupt(expected: string, name: string, received: unknown): DarkroomError {
  return new DarkroomError('IMAGE_CORRUPT', expectedMessage(expected, name, received));
}

/** The UNSUPPORTED_IMAGE for a valid picture that libvips cannot decode. */
export function unsupported(expected: string, name: string, received: unknown): DarkroomError {
  return new DarkroomError('UNSUPPORTED_IMAGE', expectedMessage(expected, name, received));
}

/** The greatest side of any format and decoder, a signed 32-bit number. */
const MAX_SIDE = 0x7fff_ffff;

/** Values of most pictures; a format's reader overrides them. */
const DEFAULTS = { frames: 1, depth: 8, alpha: false, progressive: false, orientation: 1 } as const;

/**
 * The header of a picture that is stored with `width` × `height` pixels, with its sides upright after its orientation.
 * Throws IMAGE_CORRUPT when a side is zero or above 2³¹ − 1.
 */
export function imageHeader(
  stored: Pick<ImageHeader, 'format' | 'width' | 'height' | 'channels'> & Partial<ImageHeader>,
): ImageHeader {
  const header = { ...DEFAULTS, ...stored };
  const { width, height } = stored;
  if (Math.min(width, height) < 1 || Math.max(width, height) > MAX_SIDE) {
    throw corrupt(`1 to ${MAX_SIDE} pixels a side`, `the ${stored.format} header`, `${width}×${height}`);
  }
  const isTurned = header.orientation >= 5;
  return { ...header, width: isTurned ? height : width, height: isTurned ? width : height };
}
