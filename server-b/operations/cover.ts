import type { Sharp } from 'sharp';
import type { Size } from '../../shared/operations/format.ts';
import type { Picture } from './picture.ts';

/** A picture that would be longer than this when scaled is cropped first: libvips' resampler cannot address it. */
const MAX_SCALED_SIDE = 1_000_000;

/** The part of a picture that is kept: 0, 0.5 or 1 for left, middle or right, and for top, middle or bottom. */
export interface Anchor {
  readonly across: number;
  readonly down: number;
}

export const CENTRE: Anchor = { across: 0.5, down: 0.5 };

/** The factor by which a picture is scaled to cover a box. */
export function coverScale({ width, height }: Size, box: Size): number {
  return Math.max(box.width / width, box.height / height);
}

/**
 * The first frame scaled to cover `box` and cropped to it. `position` is sharp's name for the part that is kept.
 * `anchor` is the same part, for a picture that is so long and narrow that it must be cropped before it is scaled.
 */
export async function cover(
  picture: Picture,
  box: Size,
  position: string = 'centre',
  anchor: Anchor = CENTRE,
): Promise<Sharp> {
  const scale = coverScale(picture, box);
  const pipeline = await picture.first(scale);
  if (!isTooLongToScale(picture, scale)) return pipeline.resize({ ...box, fit: 'cover', position });
  return cropFirst(pipeline, picture, box, anchor);
}

/** True for a picture that must be cropped before it is scaled. */
export function isTooLongToScale({ width, height }: Size, scale: number): boolean {
  return Math.max(width, height) * scale > MAX_SCALED_SIDE;
}

/** Cuts out the part that will cover the box, then scales it. */
export function cropFirst(pipeline: Sharp, picture: Size, box: Size, anchor: Anchor): Sharp {
  const scale = coverScale(picture, box);
  const width = Math.min(picture.width, Math.max(1, Math.round(box.width / scale)));
  const height = Math.min(picture.height, Math.max(1, Math.round(box.height / scale)));
  const left = Math.floor((picture.width - width) * anchor.across);
  const top = Math.floor((picture.height - height) * anchor.down);
  return pipeline.extract({ left, top, width, height }).resize({ ...box, fit: 'fill' });
}
