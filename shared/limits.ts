import type { PictureLimits } from './config.ts';
import { DarkroomError } from './errors.ts';
import { holdsAnimation, type Operation, resizedSize } from './operations.ts';
import type { ImageHeader } from './task.ts';

/** Bytes in one `Mb` of a setting's name. */
export const MEBIBYTE = 1024 * 1024;
/** Bytes per pixel of a picture we write: RGBA, 8 bits each. */
const OUTPUT_PIXEL_BYTES = 4;

/** Pixels over all frames. */
export function countPixels(picture: Pick<ImageHeader, 'width' | 'height' | 'frames'>): number {
  return picture.width * picture.height * picture.frames;
}

/** Bytes the picture takes when decoded, all frames, at its own depth. */
export function decodedBytes(header: ImageHeader): number {
  return countPixels(header) * header.channels * (header.depth / 8);
}

/** Throws IMAGE_TOO_LARGE when the header claims more side, pixels or decoded bytes than allowed. */
export function checkInputLimits(header: ImageHeader, limits: PictureLimits): void {
  checkSides('the picture', header, limits);
  const decoded = decodedBytes(header);
  const most = limits.maxDecodedMb * MEBIBYTE;
  if (decoded > most) throw tooLarge('the picture', `at most ${most} bytes when decoded`, `${decoded}`);
}

/** Throws IMAGE_TOO_LARGE when an operation would make a picture beyond the limits that hold for inputs. */
export function checkOutputLimits(header: ImageHeader, operations: readonly Operation[], limits: PictureLimits): void {
  for (const operation of operations) {
    const output = outputSize(header, operation);
    if (output === null) continue;
    checkSides(`the ${operation.operation} output`, output, limits);
    const decoded = countPixels(output) * OUTPUT_PIXEL_BYTES;
    const most = limits.maxDecodedMb * MEBIBYTE;
    if (decoded > most) throw tooLarge(`the ${operation.operation} output`, `at most ${most} bytes`, `${decoded}`);
  }
}

/** Size in pixels and frames of what an operation draws at most; null where it draws nothing. */
export function outputSize(
  header: ImageHeader,
  operation: Operation,
): { width: number; height: number; frames: number } | null {
  if (operation.operation === 'classify') return null;
  if (operation.operation === 'circle') return { width: operation.size, height: operation.size, frames: 1 };
  const frames = holdsAnimation(operation.format ?? header.format) ? header.frames : 1;
  return { ...resizedSize(header, operation), frames };
}

function checkSides(what: string, picture: { width: number; height: number; frames: number }, limits: PictureLimits) {
  const { width, height, frames } = picture;
  if (Math.max(width, height) > limits.maxSide) {
    throw tooLarge(what, `at most ${limits.maxSide} pixels a side`, `${width}×${height}`);
  }
  const pixels = countPixels(picture);
  if (pixels > limits.maxPixels) {
    const shown = frames === 1 ? `${width}×${height}` : `${frames} frames of ${width}×${height}`;
    throw tooLarge(what, `at most ${limits.maxPixels} pixels`, `${shown} = ${pixels}`);
  }
}

function tooLarge(what: string, expected: string, received: string): DarkroomError {
  return new DarkroomError('IMAGE_TOO_LARGE', `Expected ${expected} for ${what}, received ${received}`);
}
