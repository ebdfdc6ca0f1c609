import type { Palette } from './palette.ts';

/** Bits of a channel that choose the entry of the table of colours that were looked up. */
const TABLE_BITS = 6;
const TABLE_SHIFT = 8 - TABLE_BITS;
const UNKNOWN = 0xff;
/** Bits of a channel that choose the cube whose colours may be the nearest to a colour in it. */
const CUBE_BITS = 3;
const CUBE_SHIFT = 8 - CUBE_BITS;
const CUBE_SIDE = 1 << CUBE_SHIFT;

/** Comparisons of two colours that are left for all palettes of a picture. */
export interface SearchBudget {
  comparisons: number;
}

/**
 * Finds the nearest colour of a palette, or, once the budget is spent, the mean of the box that the colour is in, which
 * is 2 to 4 dB worse. Looks each colour up once, to four levels of a channel. Finds the palette's own colours exactly.
 */
export class Nearest {
  readonly #palette: Palette;
  /** Index of each of the palette's own colours. */
  readonly #own = new Map<number, number>();
  readonly #reds: Uint8Array;
  readonly #greens: Uint8Array;
  readonly #blues: Uint8Array;
  readonly #table: Uint8Array;
  /** Indexes of the colours that may be nearest, for each cube that was searched. */
  readonly #cubes: (Uint8Array | null)[];
  readonly #lows: Int32Array;
  readonly #budget: SearchBudget;

  /** `table`, from {@link Nearest.table}, is overwritten. */
  constructor(palette: Palette, table: Uint8Array, budget: SearchBudget) {
    const { colours, exact } = palette;
    this.#palette = palette;
    this.#reds = Uint8Array.from(colours, (colour) => colour >> 16);
    this.#greens = Uint8Array.from(colours, (colour) => (colour >> 8) & 0xff);
    this.#blues = Uint8Array.from(colours, (colour) => colour & 0xff);
    for (const [index, colour] of colours.entries()) this.#own.set(colour, index);
    this.#cubes = new Array<Uint8Array | null>(exact ? 0 : 1 << (3 * CUBE_BITS)).fill(null);
    this.#lows = new Int32Array(colours.length);
    this.#budget = budget;
    this.#table = exact ? table : table.fill(UNKNOWN);
  }

  /** Memory for the table of a {@link Nearest}, to be used by one after the other. */
  static table(): Uint8Array {
    return new Uint8Array(1 << (3 * TABLE_BITS));
  }

  /** The palette's colours, each `0xRRGGBB`. */
  get colours(): readonly number[] {
    return this.#palette.colours;
  }

  /** True when the palette has every colour of the frame that it was made for. */
  get exact(): boolean {
    return this.#palette.exact;
  }

  /** True when the palette has that colour itself. */
  has(colour: number): boolean {
    return this.#own.has(colour);
  }

  /** Index of a colour that the palette has. */
  own(colour: number): number {
    return this.#own.get(colour) ?? 0;
  }

  /** Index for a colour, 0 to 255 for each channel, of a palette that is not exact. */
  index(red: number, green: number, blue: number): number {
    const entry =
      ((red >> TABLE_SHIFT) << (2 * TABLE_BITS)) | ((green >> TABLE_SHIFT) << TABLE_BITS) | (blue >> TABLE_SHIFT);
    const known = this.#table[entry] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    const isAffordable = this.#budget.comparisons > 0;
    const found = isAffordable ? this.#search(red, green, blue) : this.#box(red, green, blue);
    this.#table[entry] = found;
    return found;
  }

  #search(red: number, green: number, blue: number): number {
    const candidates = this.#cube(red >> CUBE_SHIFT, green >> CUBE_SHIFT, blue >> CUBE_SHIFT);
    this.#budget.comparisons -= candidates.length;
    const [reds, greens, blues] = [this.#reds, this.#greens, this.#blues];
    let best = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at < candidates.length; at += 1) {
      const index = candidates[at] ?? 0;
      const r = (reds[index] ?? 0) - red;
      const g = (greens[index] ?? 0) - green;
      const b = (blues[index] ?? 0) - blue;
      const distance = r * r + g * g + b * b;
      if (distance >= least) continue;
      least = distance;
      best = index;
    }
    return best;
  }

  /** The colours that may be nearest to some colour of a cube: none is farther from all of it than another at most is. */
  #cube(red: number, green: number, blue: number): Uint8Array {
    const place = (red << (2 * CUBE_BITS)) | (green << CUBE_BITS) | blue;
    const known = this.#cubes[place] ?? null;
    if (known !== null) return known;
    const [reds, greens, blues, lows] = [this.#reds, this.#greens, this.#blues, this.#lows];
    this.#budget.comparisons -= 2 * lows.length;
    let limit = Number.POSITIVE_INFINITY;
    for (let index = 0; index < lows.length; index += 1) {
      const r = (reds[index] ?? 0) - red * CUBE_SIDE;
      const g = (greens[index] ?? 0) - green * CUBE_SIDE;
      const b = (blues[index] ?? 0) - blue * CUBE_SIDE;
      lows[index] = square(outside(r)) + square(outside(g)) + square(outside(b));
      const high = square(farthest(r)) + square(farthest(g)) + square(farthest(b));
      if (high < limit) limit = high;
    }
    const found: number[] = [];
    for (let index = 0; index < lows.length; index += 1) if ((lows[index] ?? 0) <= limit) found.push(index);
    const candidates = Uint8Array.from(found);
    this.#cubes[place] = candidates;
    return candidates;
  }

  /** The colour of the box that a colour is in. */
  #box(red: number, green: number, blue: number): number {
    const { channels, limits, branches } = this.#palette.tree;
    let node = 0;
    for (;;) {
      const channel = channels[node] ?? 0;
      if (channel === 0) return branches[2 * node] ?? 0;
      const value = channel === 1 ? red : channel === 2 ? green : blue;
      node = branches[value < (limits[node] ?? 0) ? 2 * node : 2 * node + 1] ?? 0;
    }
  }
}

/** How far a channel is from the side of a cube that begins at 0; 0 inside. */
function outside(channel: number): number {
  return channel < 0 ? -channel : channel > CUBE_SIDE ? channel - CUBE_SIDE : 0;
}

/** How far a channel is from the farther end of the side. */
function farthest(channel: number): number {
  return 2 * channel > CUBE_SIDE ? channel : CUBE_SIDE - channel;
}

function square(value: number): number {
  return value * value;
}
