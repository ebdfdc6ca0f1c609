import { setImmediate as pause } from 'node:timers/promises';
import type { Size } from '../../../shared/operations/format.ts';
import type { Deadline } from '../deadline.ts';
import type { Raster } from '../raster.ts';
import { type Area, Dither, OPAQUE } from './dither.ts';
import { GrowingBytes } from './growing-bytes.ts';
import { Lzw } from './lzw.ts';
import { Nearest } from './nearest.ts';
import { ColourCount } from './palette.ts';

// An animated GIF, written frame by frame (GIF89a). libvips takes 0.6 to 1.4 µs for a pixel of noise, most of it to clear the
// encoder's table of strings and to search colours for each pixel, and 2 to 5 ms for each frame; this takes a sixth of it.

/** What a GIF says about its frames. */
export interface GifTiming {
  /** Milliseconds of each frame. */
  readonly delays: readonly number[] | undefined;
  /** How many times it plays; 0 means without end. */
  readonly loop: number | undefined;
}

/** An encoded GIF. */
export interface WrittenGif {
  /** It owns its memory. */
  readonly picture: Uint8Array<ArrayBuffer>;
  /** Frames after equal ones that follow each other are joined. */
  readonly frames: number;
}

/** Pixels between two looks at the deadline: some milliseconds. */
const STEP_PIXELS = 50_000;
/** Milliseconds after which other jobs of the thread get a turn. */
const TURN_MS = 20;
/** Alpha from which a pixel is opaque: GIF knows no other transparency. */
const OPAQUE_ALPHA = 128;
/**
 * A palette is kept for the next frame while the mean squared difference of its colours stays below this, 48 dB, or below
 * that factor of what it was for its own frame.
 */
const KEPT_DIFFERENCE = 1;
const KEPT_FACTOR = 1.15;
/**
 * Comparisons of colours for one picture, and for each pixel that changes. Ordinary pictures need fewer, because they keep
 * their palettes; noise of another kind in each frame would need up to 2 µs for a pixel.
 */
const FIRST_COMPARISONS = 4_000_000;
const PIXEL_COMPARISONS = 12;
const LONGEST_DELAY = 0xffff;

/** What happens to a frame after its time (GIF89a, section 23). */
const STAYS = 1;
const REMOVED = 2;

/** Writes one animated GIF. Every frame has the size of the picture. */
export class GifWriter {
  readonly #size: Size;
  readonly #timing: GifTiming;
  readonly #deadline: Deadline;
  readonly #bytes = new GrowingBytes();
  readonly #lzw = new Lzw(this.#bytes);
  readonly #count = new ColourCount();
  readonly #table = Nearest.table();
  readonly #indexes: Uint8Array;
  /** The pixels that are shown before the waiting frame is drawn, and memory for a frame. */
  #shown: Int32Array;
  #spare: Int32Array;
  /** The last frame; it is written when the next one shows what happens to it after its time. */
  #waiting: Int32Array | null = null;
  #waitingDelay = 0;
  readonly #budget = { comparisons: FIRST_COMPARISONS };
  #nearest: Nearest | null = null;
  /** The difference of the palette in use for the frame that it was made for. */
  #ownDifference = 0;
  #global: Nearest | null = null;
  #added = 0;
  #written = 0;
  #turn = performance.now();

  constructor(size: Size, timing: GifTiming, deadline: Deadline) {
    const pixels = size.width * size.height;
    this.#size = size;
    this.#timing = timing;
    this.#deadline = deadline;
    this.#indexes = new Uint8Array(pixels);
    this.#shown = new Int32Array(pixels);
    this.#spare = new Int32Array(pixels);
  }

  /** Adds the next frame, RGB or RGBA. Throws TIMEOUT. */
  async add(raster: Raster): Promise<void> {
    if (raster.channels < 3) throw new Error(`Expected 3 or 4 channels for a frame, received ${raster.channels}`);
    const delay = Math.round((this.#timing.delays?.[this.#added] ?? 0) / 10);
    this.#added += 1;
    const next = this.#spare;
    await this.#inSteps((start, end) => pack(raster, next, start, end));
    const waiting = this.#waiting;
    if (waiting === null) {
      this.#spare = new Int32Array(next.length);
    } else {
      const { isEqual, uncovers } = compare(waiting, next);
      if (isEqual) {
        this.#waitingDelay += delay;
        return;
      }
      await this.#write(waiting, uncovers ? REMOVED : STAYS);
      this.#spare = this.#shown;
      this.#shown = uncovers ? waiting.fill(0) : waiting;
    }
    this.#waiting = next;
    this.#waitingDelay = delay;
  }

  /** Writes the last frame. Throws TIMEOUT. */
  async finish(): Promise<WrittenGif> {
    if (this.#waiting !== null) await this.#write(this.#waiting, STAYS);
    this.#bytes.push(0x3b);
    return { picture: this.#bytes.copy(), frames: this.#written };
  }

  async #write(frame: Int32Array, disposal: number): Promise<void> {
    const isWhole = this.#written === 0 || disposal === REMOVED;
    const area = isWhole ? { left: 0, top: 0, ...this.#size } : this.#changedArea(frame);
    const nearest = await this.#choosePalette(frame);
    const hasTransparent = await this.#dither(frame, area, nearest);
    if (this.#written === 0) this.#header(nearest);
    this.#written += 1;
    this.#control(disposal, hasTransparent || disposal === REMOVED, nearest.colours.length);
    this.#descriptor(area, nearest);
    this.#lzw.begin(Math.max(2, tableBits(nearest)));
    await this.#inSteps((start, end) => this.#lzw.add(this.#indexes.subarray(start, end)), area.width * area.height);
    this.#lzw.end();
  }

  /** The smallest rectangle around the pixels that change; one pixel where none does. */
  #changedArea(frame: Int32Array): Area {
    const { width, height } = this.#size;
    const shown = this.#shown;
    let [left, right, top, bottom] = [width, -1, height, -1];
    for (let y = 0; y < height; y += 1) {
      const start = y * width;
      let x = 0;
      while (x < width && frame[start + x] === shown[start + x]) x += 1;
      if (x === width) continue;
      let last = width - 1;
      while (frame[start + last] === shown[start + last]) last -= 1;
      left = Math.min(left, x);
      right = Math.max(right, last);
      top = Math.min(top, y);
      bottom = y;
    }
    if (bottom < 0) return { left: 0, top: 0, width: 1, height: 1 };
    return { left, top, width: right - left + 1, height: bottom - top + 1 };
  }

  /** The palette in use where it has the frame's new colours, or some near enough; else a new one. */
  async #choosePalette(frame: Int32Array): Promise<Nearest> {
    const count = this.#count;
    const shown = this.#shown;
    count.clear();
    await this.#inSteps((start, end) => {
      for (let at = start; at < end; at += 1) {
        const pixel = frame[at] ?? 0;
        if (pixel !== 0 && pixel !== shown[at]) count.add((pixel >> 16) & 0xff, (pixel >> 8) & 0xff, pixel & 0xff);
      }
    });
    this.#budget.comparisons += PIXEL_COMPARISONS * count.pixels;
    const current = this.#nearest;
    if (current !== null && this.#suits(current)) return current;
    const nearest = new Nearest(count.palette(), this.#table, this.#budget);
    this.#ownDifference = nearest.exact ? 0 : this.#difference(nearest);
    this.#nearest = nearest;
    return nearest;
  }

  #suits(nearest: Nearest): boolean {
    const few = this.#count.few;
    if (few !== null) return [...few].every((colour) => nearest.has(colour));
    if (nearest.exact) return false;
    return this.#difference(nearest) <= Math.max(KEPT_DIFFERENCE, KEPT_FACTOR * this.#ownDifference);
  }

  #difference(nearest: Nearest): number {
    return this.#count.difference((red, green, blue) => nearest.colours[nearest.index(red, green, blue)] ?? 0);
  }

  /** Sets the indexes of an area; true when one of them is the transparent one. */
  async #dither(frame: Int32Array, area: Area, nearest: Nearest): Promise<boolean> {
    const transparent = nearest.colours.length;
    const dither = new Dither(area, nearest, transparent);
    const change = { frame, shown: this.#shown, width: this.#size.width };
    let row = 0;
    await this.#inSteps((_, end) => {
      for (; row < area.height && row * area.width < end; row += 1) {
        dither.row(row, change, this.#indexes.subarray(row * area.width, (row + 1) * area.width));
      }
    }, area.width * area.height);
    return this.#indexes.subarray(0, area.width * area.height).includes(transparent);
  }

  /** Works on all pixels, some at a time, so that the deadline is seen and other jobs get a turn. */
  async #inSteps(work: (start: number, end: number) => void, pixels = this.#indexes.length): Promise<void> {
    for (let start = 0; start < pixels; start += STEP_PIXELS) {
      work(start, Math.min(pixels, start + STEP_PIXELS));
      this.#deadline.check();
      if (performance.now() - this.#turn < TURN_MS) continue;
      await pause();
      this.#turn = performance.now();
    }
  }

  #header(nearest: Nearest): void {
    const { width, height } = this.#size;
    this.#global = nearest;
    this.#bytes.append(Buffer.from('GIF89a', 'latin1'));
    this.#bytes.append([...littleEndian(width), ...littleEndian(height), 0xf0 | (tableBits(nearest) - 1), 0, 0]);
    this.#bytes.append(colourTable(nearest));
    const { loop = 0 } = this.#timing;
    if (loop === 1) return;
    // The Netscape extension counts repetitions, 0 for no end.
    this.#bytes.append([0x21, 0xff, 11, ...Buffer.from('NETSCAPE2.0', 'latin1')]);
    this.#bytes.append([3, 1, ...littleEndian(Math.max(0, loop - 1)), 0]);
  }

  #control(disposal: number, hasTransparent: boolean, transparent: number): void {
    const delay = littleEndian(Math.min(this.#waitingDelay, LONGEST_DELAY));
    this.#bytes.append([0x21, 0xf9, 4, (disposal << 2) | (hasTransparent ? 1 : 0), ...delay, transparent, 0]);
  }

  #descriptor({ left, top, width, height }: Area, nearest: Nearest): void {
    const sides = [left, top, width, height].flatMap(littleEndian);
    const isGlobal = nearest === this.#global;
    this.#bytes.append([0x2c, ...sides, isGlobal ? 0 : 0x80 | (tableBits(nearest) - 1)]);
    if (!isGlobal) this.#bytes.append(colourTable(nearest));
  }
}

/** Packs pixels; see {@link OPAQUE}. */
function pack({ pixels, channels }: Raster, packed: Int32Array, start: number, end: number): void {
  for (let at = start, from = channels * start; at < end; at += 1, from += channels) {
    const colour = ((pixels[from] ?? 0) << 16) | ((pixels[from + 1] ?? 0) << 8) | (pixels[from + 2] ?? 0);
    packed[at] = channels === 3 || (pixels[from + 3] ?? 0) >= OPAQUE_ALPHA ? OPAQUE | colour : 0;
  }
}

/** Whether two frames are equal, and whether the second one is transparent where the first one is not. */
function compare(one: Int32Array, other: Int32Array): { readonly isEqual: boolean; readonly uncovers: boolean } {
  let isEqual = true;
  for (let at = 0; at < one.length; at += 1) {
    if (one[at] === other[at]) continue;
    if (other[at] === 0) return { isEqual: false, uncovers: true };
    isEqual = false;
  }
  return { isEqual, uncovers: false };
}

/** Bits of an index, with one more colour for transparent pixels. */
function tableBits({ colours }: Nearest): number {
  return Math.max(1, Math.ceil(Math.log2(colours.length + 1)));
}

function colourTable(nearest: Nearest): Uint8Array {
  const table = new Uint8Array(3 << tableBits(nearest));
  for (const [index, colour] of nearest.colours.entries()) {
    table.set([colour >> 16, (colour >> 8) & 0xff, colour & 0xff], 3 * index);
  }
  return table;
}

function littleEndian(value: number): [number, number] {
  return [value & 0xff, value >> 8];
}
