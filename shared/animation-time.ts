import type { ImageHeader } from './image-header.ts';
import type { Drawing } from './operations/definition.ts';

/** CPU of one frame, in milliseconds, and of one pixel, in microseconds. */
interface Rate {
  readonly frame: number;
  readonly pixel: number;
}

// `bench/animation.ts` compares these rates with what noise takes, the picture that is hardest to compress.

const DECODING: Rate = { frame: 0.1, pixel: 0.07 };
const GIF: Rate = { frame: 5, pixel: 0.5 };
const WEBP: Rate = { frame: 0.5, pixel: 0.22 };
const LOSSLESS_WEBP: Rate = { frame: 0.5, pixel: 2.5 };

/**
 * An estimate of the CPU that an animation takes, in seconds. Noise can take twice as long; frames of a few pixels in
 * WebP take longer still, because starting a pipeline for each frame is not counted. Each frame of a GIF has a palette,
 * so a GIF takes longest for its size.
 */
export function animationSeconds(header: ImageHeader, drawing: Drawing): number {
  const decoding = timeOf(DECODING, header.frames, header.width * header.height);
  return decoding + timeOf(encodingRate(drawing), drawing.frames, drawing.width * drawing.height);
}

function encodingRate({ format, lossless }: Drawing): Rate {
  if (format === 'gif') return GIF;
  return lossless ? LOSSLESS_WEBP : WEBP;
}

/** Seconds for frames of `pixels` pixels each. */
function timeOf({ frame, pixel }: Rate, frames: number, pixels: number): number {
  return (frames * (frame + (pixel * pixels) / 1000)) / 1000;
}
