import type { ImageHeader } from '../../../shared/image-header.ts';
import type { ByteReader } from '../byte-reader.ts';
import { validOrientation } from './exif.ts';
import { corrupt, imageHeader, unsupported } from './image-header.ts';
import { firstDirectory, openTiff, readNumber, type TiffField, type TiffStructure } from './tiff-directory.ts';

/** Tags of the fields that are read (TIFF 6.0, appendix A). */
const TAGS = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  orientation: 274,
  samples: 277,
  planes: 284,
  colourMap: 320,
  inkSet: 332,
  sampleFormat: 339,
  subsampling: 530,
} as const;
const WANTED: ReadonlySet<number> = new Set(Object.values(TAGS));

/** Values of PhotometricInterpretation. */
const WHITE_IS_ZERO = 0;
const BLACK_IS_ZERO = 1;
const RGB = 2;
const PALETTE = 3;
const SEPARATED = 5;
const YCBCR = 6;
const CIELAB = 8;
const LOG_LUV = 32_845;

const JPEG_COMPRESSION = 7;
const CMYK_INKS = 1;
/** PlanarConfiguration: each channel in its own plane. */
const SEPARATE_PLANES = 2;
/** SampleFormat: unsigned, signed, floating point, unspecified. */
const FLOATING_POINT = 3;
const MAX_SAMPLE_FORMAT = 4;
const MAX_CHANNELS = 5;

/** The values that determine how libtiff and libvips decode the picture. */
interface Layout {
  readonly bits: number;
  readonly samples: number;
  readonly photometric: number;
  readonly isFloat: boolean;
  /** True for a palette that has only greys. */
  readonly isGreyPalette: boolean;
  /** True for chrominance at a lower resolution without JPEG compression. */
  readonly isSubsampled: boolean;
}

type Decoded = Pick<ImageHeader, 'channels' | 'depth' | 'alpha'>;

/**
 * Reads the first directory of a TIFF or BigTIFF (TIFF 6.0, section 2), the only page that sharp reads. Throws
 * IMAGE_CORRUPT when the directory exceeds the file or lacks a required field, and UNSUPPORTED_IMAGE when libvips
 * cannot decode the samples.
 */
export async function readTiff(reader: ByteReader): Promise<ImageHeader> {
  const tiff = await openTiff(reader, 0, reader.size);
  const fields = new Map<number, TiffField>();
  for await (const field of firstDirectory(tiff)) {
    if (WANTED.has(field.tag) && !fields.has(field.tag)) fields.set(field.tag, field);
  }
  const width = await required(tiff, fields, TAGS.width);
  const height = await required(tiff, fields, TAGS.height);
  const decoded = describeSamples(await readLayout(tiff, fields));
  const orientation = validOrientation(await optional(tiff, fields, TAGS.orientation, 1));
  // libvips reads such a picture by strips, not by rows, and one strip may be a whole plane.
  const progressive = (await optional(tiff, fields, TAGS.planes, 1)) === SEPARATE_PLANES;
  return imageHeader({ format: 'tiff', width, height, ...decoded, progressive, orientation });
}

async function readLayout(tiff: TiffStructure, fields: ReadonlyMap<number, TiffField>): Promise<Layout> {
  const photometric = await required(tiff, fields, TAGS.photometric);
  const bits = await optional(tiff, fields, TAGS.bits, 1);
  const samples = await optional(tiff, fields, TAGS.samples, 1);
  const format = await optional(tiff, fields, TAGS.sampleFormat, 1);
  if (format > MAX_SAMPLE_FORMAT) throw unsupported('whole or floating-point samples', 'the TIFF', format);
  const inks = await optional(tiff, fields, TAGS.inkSet, CMYK_INKS);
  if (photometric === SEPARATED && inks !== CMYK_INKS) throw unsupported('CMYK', "the TIFF's inks", inks);
  const compression = await optional(tiff, fields, TAGS.compression, 1);
  return {
    bits,
    samples,
    photometric,
    isFloat: format === FLOATING_POINT,
    isGreyPalette: photometric === PALETTE && (await isGreyPalette(tiff, fields, bits)),
    isSubsampled: compression !== JPEG_COMPRESSION && (await isSubsampled(tiff, fields.get(TAGS.subsampling))),
  };
}

/** The samples after decoding by libvips (its tiff2vips.c). */
function describeSamples(layout: Layout): Decoded {
  const { samples } = layout;
  const channels = countChannels(layout);
  if (samples < 1 || channels > MAX_CHANNELS) {
    throw unsupported(`1 to ${MAX_CHANNELS} channels`, 'the TIFF', channels);
  }
  return { channels, depth: depthOf(layout), alpha: channels > countColours(layout) };
}

function countChannels({ photometric, samples, isGreyPalette, isSubsampled }: Layout): number {
  if (photometric === PALETTE && !isGreyPalette) return samples + 2;
  // libtiff converts subsampled chrominance itself, always to RGBA.
  return photometric === YCBCR && isSubsampled ? 4 : samples;
}

/** Channels without alpha. */
function countColours({ photometric, samples, isGreyPalette }: Layout): number {
  if (photometric === WHITE_IS_ZERO || photometric === BLACK_IS_ZERO) return 1;
  if (photometric === PALETTE) return isGreyPalette ? 1 : 3;
  const colours = photometric === SEPARATED ? 4 : 3;
  const isKnown = [RGB, SEPARATED, YCBCR, CIELAB, LOG_LUV].includes(photometric);
  if (isKnown && samples >= colours) return colours;
  throw unsupported('grey, RGB, palette, YCbCr, CMYK, CIELAB or LogLuv', 'the TIFF', `${photometric} of ${samples}`);
}

function depthOf({ bits, samples, photometric, isFloat }: Layout): 8 | 16 | 32 {
  if (photometric === LOG_LUV) return 32;
  // libvips packs three-byte Lab in a form that its own loader refuses.
  if (photometric === CIELAB && bits === 8 && samples > 3) return 16;
  const isPlainGrey = (photometric === WHITE_IS_ZERO || photometric === BLACK_IS_ZERO) && samples === 1;
  if ((isPlainGrey || photometric === PALETTE) && [1, 2, 4].includes(bits)) return 8;
  if (bits === 8 && !isFloat && photometric !== CIELAB) return 8;
  if (bits === 16) return isFloat && photometric !== CIELAB && photometric !== PALETTE ? 32 : 16;
  if (bits === 32 && photometric !== PALETTE) return 32;
  throw unsupported('8, 16 or 32 bits a sample', 'the TIFF', `${bits}`);
}

/** True when red, green and blue are equal in every entry. A palette above 8 bits counts as coloured. */
async function isGreyPalette(tiff: TiffStructure, fields: ReadonlyMap<number, TiffField>, bits: number) {
  const map = fields.get(TAGS.colourMap);
  if (map === undefined) throw corrupt('a ColorMap', 'the TIFF with a palette', 'none');
  if (bits > 8) return false;
  const colours = 2 ** bits;
  await tiff.reader.need(map.offset, 6 * colours, 'the TIFF ColorMap', tiff.end);
  const value = (index: number) => tiff.reader.u16(map.offset + 2 * index, tiff.little);
  for (let index = 0; index < colours; index++) {
    const red = value(index);
    if (value(colours + index) !== red || value(2 * colours + index) !== red) return false;
  }
  return true;
}

/** True when chrominance has a lower resolution than the picture; 2 × 2 is the default (TIFF 6.0, section 21). */
async function isSubsampled(tiff: TiffStructure, field: TiffField | undefined): Promise<boolean> {
  if (field === undefined) return true;
  await tiff.reader.need(field.offset, 4, 'YCbCrSubSampling', tiff.end);
  return tiff.reader.u16(field.offset, tiff.little) !== 1 || tiff.reader.u16(field.offset + 2, tiff.little) !== 1;
}

async function required(tiff: TiffStructure, fields: ReadonlyMap<number, TiffField>, tag: number): Promise<number> {
  const field = fields.get(tag);
  const value = field && (await readNumber(tiff, field));
  if (value === undefined) throw corrupt('a whole number', `TIFF tag ${tag}`, undefined);
  return value;
}

async function optional(
  tiff: TiffStructure,
  fields: ReadonlyMap<number, TiffField>,
  tag: number,
  fallback: number,
): Promise<number> {
  const field = fields.get(tag);
  return (field && (await readNumber(tiff, field))) ?? fallback;
}
