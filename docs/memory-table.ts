import type { PictureLimits } from '../shared/config.ts';
import { checkCost, jobCost } from '../shared/cost.ts';
import { DarkroomError } from '../shared/errors.ts';
import type { ImageHeader } from '../shared/image-header.ts';
import { checkInputLimits, checkOutputLimits, MEBIBYTE } from '../shared/limits.ts';
import type { OutputSpec } from '../shared/operations/index.ts';

/** A kind of picture, as its header describes it. */
type Kind = Partial<ImageHeader> & Pick<ImageHeader, 'format'>;

const KINDS: Readonly<Record<string, Kind>> = {
  JPEG: { format: 'jpeg' },
  'JPEG, turned by EXIF': { format: 'jpeg', orientation: 6 },
  'JPEG, progressive': { format: 'jpeg', progressive: true },
  'JPEG, progressive, turned by EXIF': { format: 'jpeg', progressive: true, orientation: 6 },
  PNG: { format: 'png' },
  'PNG with transparency': { format: 'png', channels: 4, alpha: true },
  'PNG of 16 bits': { format: 'png', depth: 16 },
  'PNG, interlaced': { format: 'png', progressive: true },
  WebP: { format: 'webp' },
  'WebP, lossless': { format: 'webp', progressive: true },
  AVIF: { format: 'avif' },
  'AVIF of 10 bits': { format: 'avif', depth: 16 },
  'HEIC in tiles, as of phones': { format: 'heic' },
  'HEIC without tiles': { format: 'heic', progressive: true },
  'HEIC of 10 bits': { format: 'heic', depth: 16 },
  TIFF: { format: 'tiff' },
  'GIF, one frame': { format: 'gif', channels: 4, alpha: true },
};

const LABELS: OutputSpec = { name: 'labels', operation: 'classify', top_k: 5 };

const JOBS: Readonly<Record<string, readonly OutputSpec[]>> = {
  '1600 pixels wide, labels': [{ name: 'picture', operation: 'resize', width: 1600 }, LABELS],
  'half the size, labels': [{ name: 'picture', operation: 'resize', scale_factor: 0.5 }, LABELS],
  'full size': [{ name: 'picture', operation: 'resize', scale_factor: 1 }],
  'full size as JPEG': [{ name: 'picture', operation: 'resize', scale_factor: 1, format: 'jpeg' }],
};

/** What a picture is compared with. */
interface Bounds {
  readonly memoryMb: number;
  readonly limits: PictureLimits;
  /** MiB of the picture's file. */
  readonly uploadMb: number;
}

/** The rows of the table, header first: the largest whole number of megapixels within the bounds. */
export function memoryTable(bounds: Bounds): string[][] {
  const rows = Object.entries(KINDS).map(([name, kind]) => [
    name,
    ...Object.values(JOBS).map((specs) => String(largest(kind, specs, bounds))),
  ]);
  return [['', ...Object.keys(JOBS)], ...rows];
}

/** A binary search: a larger picture needs more of everything. */
function largest(kind: Kind, specs: readonly OutputSpec[], bounds: Bounds): number {
  let [fitting, above] = [0, Math.floor(bounds.limits.maxPixels / 1_000_000) + 1];
  while (above - fitting > 1) {
    const middle = Math.floor((fitting + above) / 2);
    if (fits(pictureOf(middle, kind), specs, bounds)) fitting = middle;
    else above = middle;
  }
  return fitting;
}

function fits(header: ImageHeader, specs: readonly OutputSpec[], { memoryMb, limits, uploadMb }: Bounds): boolean {
  try {
    checkInputLimits(header, limits);
    checkOutputLimits(header, specs, limits);
    checkCost(jobCost(uploadMb * MEBIBYTE, header, specs), memoryMb * MEBIBYTE);
    return true;
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'IMAGE_TOO_LARGE') return false;
    throw error;
  }
}

/** A picture of 4:3 with at most so many megapixels. */
function pictureOf(megapixels: number, kind: Kind): ImageHeader {
  const height = Math.floor(Math.sqrt(megapixels * 1_000_000 * (3 / 4)));
  const width = Math.floor((megapixels * 1_000_000) / height);
  const usual = { frames: 1, channels: 3, depth: 8, alpha: false, progressive: false, orientation: 1 } as const;
  return { ...usual, ...kind, width, height };
}
