import sharp, { type Metadata, type SharpOptions } from 'sharp';
import { DarkroomError } from '../../shared/errors.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import type { InputFormat } from '../../shared/operations/format.ts';
import { completeCanvas } from './gif-canvas.ts';
import { noteWarning } from './libvips.ts';

type Encoded = Uint8Array<ArrayBuffer>;

/** An encoded picture as libvips can read it, its metadata without added frames, and the index of its first frame. */
export interface Readable {
  /** Index of the picture's first frame in `body`. */
  readonly start: number;
  readonly body: Encoded;
  readonly metadata: Metadata;
}

/**
 * Reads the metadata. A GIF with a canvas that libvips would get wrong has a blank frame before its own. Throws
 * IMAGE_CORRUPT when libvips cannot read the header.
 */
export async function readPicture(body: Encoded, announced: ImageHeader): Promise<Readable> {
  const metadata = await readMetadata(body, announced);
  if (metadata.format !== 'gif' || hasCanvas(metadata, announced)) {
    return { body, metadata, start: announced.page ?? 0 };
  }
  const whole = completeCanvas(body, announced);
  const { pages = 1, delay = [], ...facts } = await readMetadata(whole, announced);
  return { body: whole, metadata: { ...facts, pages: pages - 1, delay: delay.slice(1) }, start: 1 };
}

async function readMetadata(body: Encoded, announced: ImageHeader): Promise<Metadata> {
  try {
    const options = { ...loadOptions(announced), limitInputPixels: false };
    return await sharp(body, options).on('warning', noteWarning).metadata();
  } catch (error) {
    throw corrupt(announced.format, error);
  }
}

/** True when libvips gives the canvas that the header announces, with an alpha channel where pixels may stay undrawn. */
function hasCanvas({ width, height, hasAlpha }: Metadata, announced: ImageHeader): boolean {
  return width === announced.width && height === announced.height && (hasAlpha || !announced.alpha);
}

/** Where the picture is in its file, and how it is read. */
export function loadOptions({ page, subifd, extras, channels, lenient }: ImageHeader): SharpOptions {
  return {
    ...(page === undefined ? {} : { page }),
    ...(subifd === undefined ? {} : { tiff: { subifd } }),
    ...(extras === undefined ? {} : { limitInputChannels: channels }),
    ...(lenient === undefined ? {} : { failOn: 'error' }),
  };
}

/** The header as the decoder read it. Throws IMAGE_CORRUPT when it is another format. */
export function decodedHeader(metadata: Metadata, announced: ImageHeader): ImageHeader {
  const format = metadata.format === 'heif' ? 'avif' : metadata.format;
  if (format !== announced.format) throw mismatch(announced.format, format ?? 'nothing known');
  const animates = format === 'gif' || format === 'webp';
  return {
    ...announced,
    width: metadata.autoOrient.width,
    height: metadata.autoOrient.height,
    frames: animates ? (metadata.pages ?? 1) : 1,
    channels: metadata.channels,
    depth: depthOf(metadata.depth),
    orientation: metadata.orientation ?? 1,
  };
}

function depthOf(depth: string): 8 | 16 | 32 {
  if (depth === 'uchar' || depth === 'char') return 8;
  return depth === 'ushort' || depth === 'short' ? 16 : 32;
}

/** An IMAGE_CORRUPT for a header that the decoder reads differently. */
export function mismatch(expected: string, received: string): DarkroomError {
  return new DarkroomError('IMAGE_CORRUPT', `Expected ${expected} as the header says, received ${received}`);
}

/** An IMAGE_CORRUPT for clients. The decoder's message is only its cause: it may be about another picture. */
export function corrupt(format: InputFormat, cause: unknown): DarkroomError {
  const message = `Expected a whole ${format} picture, received one that cannot be decoded`;
  return new DarkroomError('IMAGE_CORRUPT', message, { cause });
}
