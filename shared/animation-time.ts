import type { ImageHeader } from './image-header.ts';
import type { Drawing } from './operations/definition.ts';
import type { Size } from './operations/format.ts';

// Upper bounds, as `bench/animation.ts` measures them: CPU of noise, the picture that is hardest to compress, on a core whose
// two threads are both busy, the best of three runs.

/** CPU of an animation before its first frame, in milliseconds: compiling, and the first search for colours. */
const START_MS = 60;

/** CPU of one frame, in milliseconds, and of one pixel, in microseconds. */
interface Rate {
  readonly frame: number;
  readonly pixel: number;
}

const GIF_DECODING: Rate = { frame: 0.1, pixel: 0.025 };
const WEBP_DECODING: Rate = { frame: 0.3, pixel: 0.11 };
const GIF: Rate = { frame: 0.5, pixel: 0.25 };
const LOSSY_WEBP: Rate = { frame: 0.5, pixel: 0.25 };
const LOSSLESS_WEBP: Rate = { frame: 2, pixel: 1.1 };
/** A GIF's palette takes time for the first pixels of a frame. */
const PALETTE: Rate = { frame: 0.3, pixel: 0.55 };
const PALETTE_PIXELS = 6000;
/** Starting one of sharp's pipelines. */
const PIPELINE_MS = 3.5;
/** A pixel before and after scaling; with alpha it takes longer. */
const INPUT_PIXEL_US = 0.02;
const OUTPUT_PIXEL_US = 0.06;
const ALPHA_FACTOR = 1.6;
/** libvips makes tables to sharpen by a radius, for each picture. */
const SHARPEN: Rate = { frame: 14, pixel: 0.4 };
/** Of a blur: its table, and each pixel, for each unit of sigma. */
const BLUR_MS = 4;
const BLUR_PIXEL_US = 0.01;

/** The most CPU that an animation takes, in seconds. `workMs` is that of its plan. */
export function animationSeconds(header: ImageHeader, drawing: Drawing, workMs: number): number {
  const decoding = timeOf(header.format === 'gif' ? GIF_DECODING : WEBP_DECODING, header.width * header.height);
  return (START_MS + header.frames * decoding + workMs + drawing.frames * encodingMs(drawing)) / 1000;
}

/** How one frame is made from another. */
export interface FrameStep {
  readonly from: Size;
  readonly to: Size;
  readonly alpha: boolean;
  /** Pipelines of sharp, one after the other. */
  readonly steps: number;
  /** Sigma in pixels; 0 for none. */
  readonly blur: number;
  /** True for sharpening by a radius. */
  readonly sharpen: boolean;
}

/** The most CPU to make one frame from another, in milliseconds. */
export function pipelineMs({ from, to, alpha, steps, blur, sharpen }: FrameStep): number {
  const factor = alpha ? ALPHA_FACTOR : 1;
  const [before, after] = [from.width * from.height, to.width * to.height];
  const scaling = (factor * (INPUT_PIXEL_US * before + OUTPUT_PIXEL_US * after)) / 1000;
  const blurring = blur === 0 ? 0 : BLUR_MS + (BLUR_PIXEL_US * blur * after) / 1000;
  const sharpening = sharpen ? timeOf(SHARPEN, after) : 0;
  return steps * (PIPELINE_MS + scaling) + blurring + sharpening;
}

function encodingMs({ format, lossless, transparent, width, height }: Drawing): number {
  const pixels = width * height;
  if (format === 'gif') return timeOf(GIF, pixels) + timeOf(PALETTE, Math.min(pixels, PALETTE_PIXELS));
  return timeOf(lossless ? LOSSLESS_WEBP : LOSSY_WEBP, pixels) * (transparent ? ALPHA_FACTOR : 1);
}

/** Milliseconds for a frame of that many pixels. */
function timeOf({ frame, pixel }: Rate, pixels: number): number {
  return frame + (pixel * pixels) / 1000;
}
