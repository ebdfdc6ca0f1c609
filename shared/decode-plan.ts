import type { ImageHeader } from './image-header.ts';
import type { Plan } from './operations/definition.ts';
import { type InputFormat, type Size, scaledSize } from './operations/format.ts';

// One decode for several outputs, where that costs no more and makes no output worse. Only arithmetic: both
// servers use it for the cost of a job, without sharp, and a worker uses it to decode.

/**
 * Pixels of the largest picture that is decoded once, at its full size, for several outputs: 100 MB as RGB. Beyond
 * that each output streams through a decoder of its own, in less memory.
 */
const MAX_SHARED_PIXELS = 33_000_000;
/**
 * A `data` operation accepts pixels at this share of the scale that it asks for: labels from 240 pixels are the same as
 * from 256, and a decode is saved.
 */
const DATA_TOLERANCE = 15 / 16;

/** Pixels of the first frame that are decoded once, upright. */
export interface SharedDecode {
  /** Their size: the picture's own, or that of one output. */
  readonly size: Size;
  /** Indexes of the outputs that are made from these pixels. */
  readonly users: ReadonlySet<number>;
}

/** An output and its position in the list. */
interface Candidate {
  readonly index: number;
  readonly plan: Plan;
}

/**
 * What to decode once for the outputs of `plans`; null when it is better that each output decodes for itself.
 *
 * Pictures share only pixels that were not resampled. JPEG and WebP shrink on load, and a small output made from pixels
 * that were shrunk less differs visibly from the same picture made alone (37 to 44 dB), so such outputs decode for
 * themselves. Data must not change how a picture is made, so it uses the pixels that the pictures need.
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
export function shrinksOnLoad(format: InputFormat, scale: number): boolean {
  if (format === 'webp') return scale < 1;
  // sharp asks libjpeg for a shrink of at least 2, and only where the picture is at least 3 times as large as the output.
  return format === 'jpeg' && scale <= 1 / 3;
}

/** The smallest output that shows the whole picture at a scale that is enough for the data. */
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
 * True where an output made from the decoded picture has the same bytes as an output made while decoding. sharp resizes
 * at the input's bit depth, and before it turns by EXIF orientation.
 */
function isSameFromWhole({ width, height, depth, orientation }: ImageHeader): boolean {
  return width * height <= MAX_SHARED_PIXELS && depth === 8 && orientation === 1;
}

/** True for formats whose decoder saves more on a small output than a shared decode saves. */
function hasShrinkOnLoad({ format }: ImageHeader): boolean {
  return format === 'jpeg' || format === 'webp';
}

function largestScale(candidates: readonly Candidate[]): number {
  return Math.max(...candidates.map(({ plan }) => plan.scale));
}

function shared({ width, height }: Size, users: readonly Candidate[]): SharedDecode {
  return { size: { width, height }, users: new Set(users.map(({ index }) => index)) };
}
