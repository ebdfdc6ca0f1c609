import type { Nearest } from './nearest.ts';

/** The bit of a packed pixel that says that it is opaque; a transparent pixel is 0. The rest is `0xRRGGBB`. */
export const OPAQUE = 1 << 24;

/** A part of a picture, in pixels. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A frame and what is shown before it, as packed pixels of the whole picture, `width` in a row. */
export interface Change {
  readonly frame: Int32Array;
  readonly shown: Int32Array;
  readonly width: number;
}

/**
 * Chooses a palette's index for each pixel of one area, row after row. Pixels that do not change become `transparent`. The
 * difference between a colour and its index's colour goes to the pixels beside and below (Floyd and Steinberg, 1976).
 */
export class Dither {
  readonly #area: Area;
  readonly #nearest: Nearest;
  readonly #colours: readonly number[];
  readonly #transparent: number;
  /** Differences for this row and the next: three numbers a pixel, with a pixel more at each end. */
  #here: Float32Array;
  #below: Float32Array;

  constructor(area: Area, nearest: Nearest, transparent: number) {
    this.#area = area;
    this.#nearest = nearest;
    this.#colours = nearest.colours;
    this.#transparent = transparent;
    this.#here = new Float32Array(3 * (area.width + 2));
    this.#below = new Float32Array(3 * (area.width + 2));
  }

  /** The indexes of a row, counted from the top of the area, into `indexes`. Rows must come in order. */
  row(row: number, change: Change, indexes: Uint8Array): void {
    if (this.#nearest.exact) this.#copyRow(row, change, indexes);
    else this.#ditherRow(row, change, indexes);
  }

  #copyRow(row: number, { frame, shown, width }: Change, indexes: Uint8Array): void {
    const start = (this.#area.top + row) * width + this.#area.left;
    let lastColour = -1;
    let lastIndex = 0;
    for (let x = 0; x < this.#area.width; x += 1) {
      const pixel = frame[start + x] ?? 0;
      if (pixel === shown[start + x]) {
        indexes[x] = this.#transparent;
        continue;
      }
      if (pixel !== lastColour) {
        lastColour = pixel;
        lastIndex = this.#nearest.own(pixel & 0xffffff);
      }
      indexes[x] = lastIndex;
    }
  }

  #ditherRow(row: number, { frame, shown, width }: Change, indexes: Uint8Array): void {
    const start = (this.#area.top + row) * width + this.#area.left;
    const [here, below] = [this.#here, this.#below];
    below.fill(0);
    for (let x = 0; x < this.#area.width; x += 1) {
      const pixel = frame[start + x] ?? 0;
      if (pixel === shown[start + x]) {
        indexes[x] = this.#transparent;
        continue;
      }
      const at = 3 * (x + 1);
      const red = clamp(((pixel >> 16) & 0xff) + (here[at] ?? 0));
      const green = clamp(((pixel >> 8) & 0xff) + (here[at + 1] ?? 0));
      const blue = clamp((pixel & 0xff) + (here[at + 2] ?? 0));
      const index = this.#nearest.index(red, green, blue);
      const colour = this.#colours[index] ?? 0;
      spread(here, below, at, red - (colour >> 16));
      spread(here, below, at + 1, green - ((colour >> 8) & 0xff));
      spread(here, below, at + 2, blue - (colour & 0xff));
      indexes[x] = index;
    }
    this.#here = below;
    this.#below = here;
  }
}

function spread(here: Float32Array, below: Float32Array, at: number, difference: number): void {
  const part = difference / 16;
  here[at + 3] = (here[at + 3] ?? 0) + 7 * part;
  below[at - 3] = (below[at - 3] ?? 0) + 3 * part;
  below[at] = (below[at] ?? 0) + 5 * part;
  below[at + 3] = part;
}

function clamp(value: number): number {
  return Math.min(Math.max(value, 0), 255);
}
