import { animationSeconds } from './animation-time.ts';
import type { PictureLimits } from './config.ts';
import { DarkroomError } from './errors.ts';
import type { ImageHeader } from './image-header.ts';
import type { Drawing } from './operations/definition.ts';
import type { Size } from './operations/format.ts';
import { type OutputSpec, planOf } from './operations/index.ts';

/** Bytes in one `Mb` of a setting's name. */
export const MEBIBYTE = 1024 * 1024;
/** Bytes per pixel of a picture we write: RGBA, 8 bits each. */
const OUTPUT_PIXEL_BYTES = 4;

/** Pixels over all frames. */
export function countPixels(picture: Size & { readonly frames: number }): number {
  return picture.width * picture.height * picture.frames;
}

/** Pixels that are decoded, over all frames; more than {@link countPixels} where the decoder crops the picture. */
export function countCodedPixels(header: ImageHeader): number {
  return header.codedPixels ?? countPixels(header);
}

/** Bytes the picture takes when decoded, all frames, at its own depth. */
export function decodedBytes(header: ImageHeader): number {
  return countCodedPixels(header) * header.channels * (header.depth / 8);
}

/**
 * Throws IMAGE_TOO_LARGE when the header has a longer side, more pixels or more decoded bytes than allowed, and
 * UNSUPPORTED_IMAGE for HEIC where it is turned off.
 */
export function checkInputLimits(header: ImageHeader, limits: PictureLimits): void {
  if (header.format === 'heic' && limits.heic === false) {
    const message = 'HEIC is turned off on this server (--no-heic); send JPEG, PNG, WebP, AVIF, GIF or TIFF';
    throw new DarkroomError('UNSUPPORTED_IMAGE', message);
  }
  checkSides('the picture', header, limits);
  const coded = countCodedPixels(header);
  if (coded > limits.maxPixels)
    throw tooLarge('the uncropped picture', `at most ${limits.maxPixels} pixels`, `${coded}`);
  const decoded = decodedBytes(header);
  const most = limits.maxDecodedMb * MEBIBYTE;
  if (decoded > most) throw tooLarge('the picture', `at most ${most} bytes when decoded`, `${decoded}`);
}

/**
 * Throws IMAGE_TOO_LARGE, with the output's name, when an output exceeds the limits for input pictures, or when the sum
 * over the outputs up to that one does; also when their animations have too many frames or take too much time.
 */
export function checkOutputLimits(header: ImageHeader, specs: readonly OutputSpec[], limits: PictureLimits): void {
  const most = limits.maxDecodedMb * MEBIBYTE;
  let pixels = 0;
  let frames = 0;
  let seconds = 0;
  for (const spec of specs) {
    const { drawing, workMs } = planOf(header, spec);
    if (drawing === null) continue;
    checkDrawing(`the ${spec.name} output`, drawing, limits);
    pixels += countPixels(drawing);
    const together = `the outputs up to ${spec.name} together`;
    if (pixels > limits.maxPixels) throw tooLarge(together, `at most ${limits.maxPixels} pixels`, `${pixels}`);
    const bytes = pixels * OUTPUT_PIXEL_BYTES;
    if (bytes > most) throw tooLarge(together, `at most ${most} bytes`, `${bytes}`);
    if (drawing.frames === 1) continue;
    frames += drawing.frames;
    if (frames > limits.maxFrames) throw tooLarge(together, `at most ${limits.maxFrames} frames`, `${frames}`);
    seconds += animationSeconds(header, drawing, workMs);
    if (seconds > limits.maxAnimationSeconds) {
      const expected = `animations that take about ${limits.maxAnimationSeconds} s at most`;
      throw tooLarge(together, expected, `${describeFrames(drawing)}, so about ${Math.ceil(seconds)} s`);
    }
  }
}

function checkDrawing(what: string, drawing: Drawing, limits: PictureLimits): void {
  checkSides(what, drawing, limits);
  const decoded = countPixels(drawing) * OUTPUT_PIXEL_BYTES;
  const most = limits.maxDecodedMb * MEBIBYTE;
  if (decoded > most) throw tooLarge(what, `at most ${most} bytes`, `${decoded}`);
}

function checkSides(what: string, picture: Size & { readonly frames: number }, limits: PictureLimits): void {
  const { width, height, frames } = picture;
  if (Math.max(width, height) > limits.maxSide) {
    throw tooLarge(what, `at most ${limits.maxSide} pixels a side`, `${width}×${height}`);
  }
  const pixels = countPixels(picture);
  if (pixels > limits.maxPixels) {
    const shown = frames === 1 ? `${width}×${height}` : describeFrames(picture);
    throw tooLarge(what, `at most ${limits.maxPixels} pixels`, `${shown} = ${pixels}`);
  }
}

function describeFrames({ frames, width, height }: Size & { readonly frames: number }): string {
  return `${frames} frames of ${width}×${height}`;
}

function tooLarge(what: string, expected: string, received: string): DarkroomError {
  return new DarkroomError('IMAGE_TOO_LARGE', `Expected ${expected} for ${what}, received ${received}`);
}
