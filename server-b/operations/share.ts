import type { Operation, Size } from '../../shared/operations.ts';
import { holdsAnimation, resizedSize } from '../../shared/operations.ts';
import { CLASSIFY_SIDE, MAX_SHARED_JPEG_SCALE, MAX_SHARED_SCALE } from '../scales.ts';
import type { Picture } from './decode.ts';
import { scaleOfResize } from './resize.ts';

/**
 * The size to which the first frame is decoded once for all `operations` that use it, or null where each had better
 * decode for itself.
 */
export function sharedSize(picture: Picture, operations: readonly Operation[]): Size | null {
  const needed = operations.filter((operation) => !keepsAnimation(picture, operation));
  const scales = needed.map((operation) => scaleOf(picture, operation));
  const largest = Math.max(...scales);
  if (needed.length === 0) return null;
  if (picture.wideProfile) return sizeAt(picture, Math.min(1, largest), needed);
  const most = picture.format === 'jpeg' ? MAX_SHARED_JPEG_SCALE : MAX_SHARED_SCALE;
  if (needed.length < 2 || largest > most) return null;
  return sizeAt(picture, largest, needed);
}

function keepsAnimation(picture: Picture, operation: Operation): boolean {
  return operation.operation === 'resize' && picture.frames > 1 && holdsAnimation(operation.format ?? picture.format);
}

function scaleOf(picture: Picture, operation: Operation): number {
  if (operation.operation === 'circle') return operation.size / picture.shortSide;
  if (operation.operation === 'classify') return CLASSIFY_SIDE / picture.shortSide;
  return scaleOfResize(picture, operation);
}

/** A resize whose own size lies within rounding of the scale gets exactly that, so that it is not resampled again. */
function sizeAt(picture: Picture, scale: number, operations: readonly Operation[]): Size {
  const size = {
    width: Math.max(1, Math.round(picture.width * scale)),
    height: Math.max(1, Math.round(picture.height * scale)),
  };
  const sizes = operations.flatMap((one) => (one.operation === 'resize' ? [resizedSize(picture, one)] : []));
  const close = (one: Size) => Math.abs(one.width - size.width) <= 1 && Math.abs(one.height - size.height) <= 1;
  return sizes.find(close) ?? size;
}
