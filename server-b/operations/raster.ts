import sharp, { type Sharp } from 'sharp';
import type { Size } from '../../shared/operations/format.ts';
import type { Deadline } from './deadline.ts';
import { noteWarning } from './libvips.ts';

/** Decoded pixels: sRGB, 8 bits a channel, upright; alpha, where there is one, not premultiplied. */
export interface Raster extends Size {
  readonly pixels: Uint8Array;
  readonly channels: 1 | 2 | 3 | 4;
  /** Height of one frame where several lie below each other. */
  readonly pageHeight?: number;
}

/** A pipeline that starts from pixels in memory and ends with the job's deadline. */
export function openRaster(raster: Raster, deadline: Deadline): Sharp {
  const { pixels, width, height, channels, pageHeight } = raster;
  const raw = pageHeight === undefined ? { width, height, channels } : { width, height, channels, pageHeight };
  return sharp(pixels, { raw, animated: pageHeight !== undefined, limitInputPixels: false })
    .on('warning', noteWarning)
    .timeout({ seconds: deadline.secondsLeft() });
}

/** Runs a pipeline and gives its pixels. */
export async function rasterize(pipeline: Sharp): Promise<Raster> {
  const { data, info } = await pipeline.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height, channels: info.channels };
}

/** Frames of one size, one below the other, RGBA: the form in which libvips holds an animation. */
export class Strip {
  readonly #size: Size;
  readonly #pixels: Uint8Array;
  #filled = 0;

  constructor({ width, height }: Size, frames: number) {
    this.#size = { width, height };
    this.#pixels = new Uint8Array(width * height * 4 * frames);
  }

  /** Adds the next frame, which has four channels. */
  add({ pixels, channels }: Raster): void {
    if (channels !== 4) throw new Error(`Expected 4 channels for a frame, received ${channels}`);
    this.#pixels.set(pixels, this.#filled);
    this.#filled += pixels.byteLength;
  }

  /** All frames as one raster. */
  get raster(): Raster {
    const { width, height: pageHeight } = this.#size;
    const height = this.#pixels.byteLength / (width * 4);
    return { pixels: this.#pixels, width, height, channels: 4, pageHeight };
  }
}
