// A palette for one frame: its colours themselves where there are few, else the means of boxes that are split where they
// spread most.

/** Colours of a palette; one more index stays free for transparent pixels. */
export const MAX_COLOURS = 255;
/** Bits of a channel that choose the cell in which a colour is counted. */
const CELL_BITS = 5;
const CELLS = 1 << (3 * CELL_BITS);
/** Cells whose colours are compared with a palette. */
const MOST_COMPARED = 256;
/** Numbers for each cell or box: how many pixels, and the sums of their red, green and blue. */
const FIELDS = 4;

/** How a box of colours was split into boxes, again and again. Node 0 is the box of all colours. */
export interface SplitTree {
  /** For each node: 1, 2 or 3 where it was split by red, green or blue; 0 where it is a colour of the palette. */
  readonly channels: Uint8Array;
  /** Values of that channel below this are in the first of the two boxes. */
  readonly limits: Float64Array;
  /** Two numbers for each node: the nodes of its two boxes; the index of its colour in the first one. */
  readonly branches: Uint16Array;
}

/** Up to {@link MAX_COLOURS} colours, each `0xRRGGBB`. */
export interface Palette {
  readonly colours: readonly number[];
  readonly tree: SplitTree;
  /** True when the frame that it was made for has no other colours. */
  readonly exact: boolean;
}

/** Counts the colours of one frame, then finds its palette. One is used for all frames, to save its memory. */
export class ColourCount {
  readonly #cells = new Float64Array(CELLS * FIELDS);
  readonly #touched = new Uint16Array(CELLS);
  #touchedCount = 0;
  /** The first colours, until there are too many for a palette. */
  readonly #exact = new Set<number>();
  #lastColour = -1;
  #pixels = 0;

  /** Forgets the frame before. */
  clear(): void {
    for (let at = 0; at < this.#touchedCount; at += 1) {
      const start = (this.#touched[at] ?? 0) * FIELDS;
      this.#cells.fill(0, start, start + FIELDS);
    }
    this.#touchedCount = 0;
    this.#exact.clear();
    this.#lastColour = -1;
    this.#pixels = 0;
  }

  /** Pixels that were counted. */
  get pixels(): number {
    return this.#pixels;
  }

  /** Counts one pixel. */
  add(red: number, green: number, blue: number): void {
    this.#pixels += 1;
    const colour = (red << 16) | (green << 8) | blue;
    if (colour !== this.#lastColour) {
      this.#lastColour = colour;
      if (this.#exact.size <= MAX_COLOURS) this.#exact.add(colour);
    }
    const cell = ((red >> 3) << 10) | ((green >> 3) << 5) | (blue >> 3);
    const cells = this.#cells;
    const start = cell * FIELDS;
    const count = cells[start] ?? 0;
    if (count === 0) {
      this.#touched[this.#touchedCount] = cell;
      this.#touchedCount += 1;
    }
    cells[start] = count + 1;
    cells[start + 1] = (cells[start + 1] ?? 0) + red;
    cells[start + 2] = (cells[start + 2] ?? 0) + green;
    cells[start + 3] = (cells[start + 3] ?? 0) + blue;
  }

  /** The frame's colours; null when they are too many for a palette. */
  get few(): ReadonlySet<number> | null {
    return this.#exact.size <= MAX_COLOURS ? this.#exact : null;
  }

  /** The palette of the frame. */
  palette(): Palette {
    if (this.#exact.size <= MAX_COLOURS) return { colours: [...this.#exact], tree: emptyTree(), exact: true };
    const order = this.#touched.subarray(0, this.#touchedCount).slice();
    return { ...split(this.#cells, order), exact: false };
  }

  /**
   * The mean squared difference of a channel between the frame's colours and those that `nearest` gives for them; of some
   * of the colours where there are many.
   */
  difference(nearest: (red: number, green: number, blue: number) => number): number {
    let sum = 0;
    let pixels = 0;
    const step = Math.ceil(this.#touchedCount / MOST_COMPARED);
    for (let at = 0; at < this.#touchedCount; at += step) {
      const start = (this.#touched[at] ?? 0) * FIELDS;
      const count = this.#cells[start] ?? 1;
      const red = (this.#cells[start + 1] ?? 0) / count;
      const green = (this.#cells[start + 2] ?? 0) / count;
      const blue = (this.#cells[start + 3] ?? 0) / count;
      const colour = nearest(red, green, blue);
      const [r, g, b] = [red - (colour >> 16), green - ((colour >> 8) & 0xff), blue - (colour & 0xff)];
      sum += count * (r * r + g * g + b * b);
      pixels += count;
    }
    return pixels === 0 ? 0 : sum / (3 * pixels);
  }
}

/** A range of cells in the order, and how its colours spread. */
interface Box {
  readonly start: number;
  readonly end: number;
  /** Mean of its red, green and blue. */
  readonly mean: readonly [number, number, number];
  /** 1, 2 or 3 for red, green or blue: the channel with the largest spread. */
  readonly channel: number;
  /** Squared differences from the mean, summed over all pixels, in that channel. */
  readonly spread: number;
}

function emptyTree(): SplitTree {
  const nodes = 2 * MAX_COLOURS;
  return { channels: new Uint8Array(nodes), limits: new Float64Array(nodes), branches: new Uint16Array(2 * nodes) };
}

/** Splits the box with the largest spread at its mean until there are enough boxes; their means are the colours. */
function split(cells: Float64Array, order: Uint16Array): Pick<Palette, 'colours' | 'tree'> {
  const tree = emptyTree();
  const boxes = [measure(cells, order, 0, order.length)];
  /** The node of each box, and its spread. */
  const nodes = [0];
  const spreads = [boxes[0]?.spread ?? 0];
  while (boxes.length < MAX_COLOURS) {
    let widest = 0;
    for (let at = 1; at < spreads.length; at += 1) if ((spreads[at] ?? 0) > (spreads[widest] ?? 0)) widest = at;
    const box = boxes[widest];
    if (box === undefined || box.spread === 0) break;
    const middle = partition(cells, order, box);
    const first = measure(cells, order, box.start, middle);
    const second = measure(cells, order, middle, box.end);
    const node = nodes[widest] ?? 0;
    const child = 2 * boxes.length - 1;
    tree.channels[node] = box.channel;
    tree.limits[node] = box.mean[box.channel - 1] ?? 0;
    tree.branches.set([child, child + 1], 2 * node);
    boxes[widest] = first;
    spreads[widest] = first.spread;
    nodes[widest] = child;
    boxes.push(second);
    spreads.push(second.spread);
    nodes.push(child + 1);
  }
  for (const [index, node] of nodes.entries()) tree.branches[2 * node] = index;
  const colours = boxes.map(({ mean }) => mean.reduce((packed, channel) => (packed << 8) | Math.round(channel), 0));
  return { colours, tree };
}

function measure(cells: Float64Array, order: Uint16Array, start: number, end: number): Box {
  let [count, red, green, blue, reds, greens, blues] = [0, 0, 0, 0, 0, 0, 0];
  for (let at = start; at < end; at += 1) {
    const cell = (order[at] ?? 0) * FIELDS;
    const pixels = cells[cell] ?? 1;
    const [r, g, b] = [cells[cell + 1] ?? 0, cells[cell + 2] ?? 0, cells[cell + 3] ?? 0];
    count += pixels;
    red += r;
    green += g;
    blue += b;
    reds += (r * r) / pixels;
    greens += (g * g) / pixels;
    blues += (b * b) / pixels;
  }
  const spreads = [reds - (red * red) / count, greens - (green * green) / count, blues - (blue * blue) / count];
  const spread = end - start === 1 ? 0 : Math.max(...spreads);
  const mean = [red / count, green / count, blue / count] as const;
  return { start, end, mean, channel: 1 + spreads.indexOf(Math.max(...spreads)), spread: spread < 1e-6 ? 0 : spread };
}

/** Moves the cells below the mean before the others; gives the index of the first of the others. */
function partition(cells: Float64Array, order: Uint16Array, { start, end, mean, channel }: Box): number {
  const limit = mean[channel - 1] ?? 0;
  let middle = start;
  for (let at = start; at < end; at += 1) {
    const entry = order[at] ?? 0;
    const cell = entry * FIELDS;
    if ((cells[cell + channel] ?? 0) / (cells[cell] ?? 1) >= limit) continue;
    order[at] = order[middle] ?? 0;
    order[middle] = entry;
    middle += 1;
  }
  // Rounding may put all of them on one side.
  return Math.min(Math.max(middle, start + 1), end - 1);
}
