import type { ImageHeader } from '../shared/image-header.ts';
import type { Plan } from '../shared/operations/definition.ts';
import { type Format, type Size, scaledSize } from '../shared/operations/format.ts';

// One decode for several outputs, where that costs no more and no output is the worse for it. Numbers only: the budget
// counts by this on Server B's main thread, which loads no sharp, and a worker decodes by it.

/**
 * Pixels of the largest picture that is decoded once, at its full size, for several outputs: 100 MB as RGB. Beyond
 * that each output streams through a decoder of its own, in less memory.
 */
const MAX_SHARED_PIXELS = 33_000_000;
/**
 * How much smaller than it asks for the pixels may be that a `data` operation gets: labels made from 240 pixels instead
 * of 256 are the same, and a decode is saved.
 */
const DATA_TOLERANCE = 15 / 16;

/** Pixels of the first frame that are decoded once, upright. */
export interface SharedDecode {
  /** Their size: the picture's own, or that of one output. */
  readonly size: Size;
  /** Positions, in the list of outputs, of those made from them. */
  readonly users: ReadonlySet<number>;
}

/** An output and its position in the list. */
interface Candidate {
  readonly index: number;
  readonly plan: Plan;
}

/**
 * What to decode once for the outputs that `plans` describe; null where each had better decode for itself.
 *
 * Pictures share only pixels that no resampling has touched. A JPEG or WebP shrinks as it is decoded, and one that had
 * shrunk less on the way to a smaller output would differ visibly from the picture made alone (37 to 44 dB), so such
 * outputs decode for themselves. Data is made from whatever is there: it must not change how a picture is made.
 */
export function planDecode(header: ImageHeader, plans: readonly Plan[]): SharedDecode | null {
  const firstFrame = plans.map((plan, index) => ({ plan, index })).filter(({ plan }) => !plan.animated);
  const pictures = firstFrame.filter(({ plan }) => plan.drawing !== null);
  const data = firstFrame.filter(({ plan }) => plan.drawing === null);
  const unshrunk = isSameFromWhole(header)
    ? pictures.filter(({ plan }) => !shrinksOnLoad(header.format, plan.scale))
    : [];
  if (unshrunk.length > 1) return shared(header, [...unshrunk, ...data]);
  if (data.length === 0) return null;
  const carrier = smallestCarrier(header, pictures, largestScale(data));
  if (carrier !== null) return shared(carrier.size, [carrier.picture, ...data]);
  const [only] = unshrunk;
  if (only !== undefined && !hasShrinkOnLoad(header)) return shared(header, [only, ...data]);
  return data.length > 1 ? shared(scaledSize(header, Math.min(1, largestScale(data))), data) : null;
}

/** True when the decoder itself gives fewer pixels for an output of this scale (sharp's src/pipeline.cc). */
export function shrinksOnLoad(format: Format, scale: number): boolean {
  if (format === 'webp') return scale < 1;
  // The least shrink that libjpeg is asked for is 2, and not where the picture is merely between 2 and 3 times as large.
  return format === 'jpeg' && scale <= 1 / 3;
}

/** The smallest output whose own pixels are the whole picture, and enough of it for data of this scale. */
function smallestCarrier(
  { width, height }: Size,
  pictures: readonly Candidate[],
  scale: number,
): { readonly size: Size; readonly picture: Candidate } | null {
  let best: { size: Size; picture: Candidate } | null = null;
  for (const picture of pictures) {
    const size = picture.plan.whole;
    if (size === null || size.width > width || size.height > height) continue;
    const isEnough = Math.min(size.width / width, size.height / height) >= scale * DATA_TOLERANCE;
    if (isEnough && (best === null || size.width < best.size.width)) best = { size, picture };
  }
  return best;
}

/**
 * True where a picture made from the decoded whole is the same, byte for byte, as one made while decoding. sharp resizes
 * at the input's depth, and before it turns by EXIF orientation.
 */
function isSameFromWhole({ width, height, depth, orientation }: ImageHeader): boolean {
  return width * height <= MAX_SHARED_PIXELS && depth === 8 && orientation === 1;
}

/** Formats whose decoder saves more on a small output than a shared decode would. */
function hasShrinkOnLoad({ format }: ImageHeader): boolean {
  return format === 'jpeg' || format === 'webp';
}

function largestScale(candidates: readonly Candidate[]): number {
  return Math.max(...candidates.map(({ plan }) => plan.scale));
}

function shared({ width, height }: Size, users: readonly Candidate[]): SharedDecode {
  return { size: { width, height }, users: new Set(users.map(({ index }) => index)) };
}
