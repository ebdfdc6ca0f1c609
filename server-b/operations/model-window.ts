import type { Size } from '../../shared/operations/format.ts';

/** The square of a scaled picture that a model sees. */
export interface Window {
  /** The size in pixels of the whole picture before the square is cut out. */
  readonly scaled: Size;
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

/**
 * The square of `side` pixels in the centre of a picture whose shorter side is scaled to `short` pixels. It has the
 * rounding of torchvision's Resize and CenterCrop, with which such models are measured: the longer side is rounded
 * down, and half a pixel goes to the even neighbour.
 */
export function centreWindow({ width, height }: Size, short: number, side: number): Window {
  const scaled =
    width <= height
      ? { width: short, height: Math.floor((short * height) / width) }
      : { width: Math.floor((short * width) / height), height: short };
  return { scaled, left: halfToEven(scaled.width - side), top: halfToEven(scaled.height - side), side };
}

/** Half of a whole number, rounded; x.5 to the even neighbour. */
function halfToEven(value: number): number {
  return value % 2 === 0 ? value / 2 : 2 * Math.round(value / 4);
}
