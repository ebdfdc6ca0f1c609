import type { ImageHeader } from '../../../shared/image-header.ts';
import type { ByteReader } from '../byte-reader.ts';
import { validOrientation } from './exif.ts';
import { corrupt, imageHeader, unsupported } from './image-header.ts';
import { openTiff, readNumber, readNumbers, type TiffField, type TiffStructure } from './tiff-directory.ts';
import { findMainDirectory, type TiffFields } from './tiff-pages.ts';
import { checkSamples, extrasOf, type Layout, PALETTE, SEPARATED, warnsOfHeaderOnly, YCBCR } from './tiff-samples.ts';

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
  predictor: 317,
  colourMap: 320,
  tileWidth: 322,
  inkSet: 332,
  extraSamples: 338,
  sampleFormat: 339,
  subsampling: 530,
} as const;
const WANTED: ReadonlySet<number> = new Set(Object.values(TAGS));

const CMYK_INKS = 1;
/** PlanarConfiguration: each channel in its own plane. */
const SEPARATE_PLANES = 2;
/** The most values that are read of a field with one for each sample; more samples than this are refused. */
const MAX_VALUES = 100;

/**
 * Reads the directory of a TIFF or BigTIFF (TIFF 6.0) that holds the picture. Throws IMAGE_CORRUPT when a directory
 * exceeds the file or lacks a required field, and UNSUPPORTED_IMAGE for camera RAW and for samples that libvips does not
 * decode correctly.
 */
export async function readTiff(reader: ByteReader): Promise<ImageHeader> {
  const tiff = await openTiff(reader, 0, reader.size);
  const { fields, page, subifd, pages } = await findMainDirectory(tiff, WANTED);
  const width = await required(tiff, fields, TAGS.width);
  const height = await required(tiff, fields, TAGS.height);
  const layout = await readLayout(tiff, fields);
  checkSamples(layout);
  const { alpha, dropped } = extrasOf(layout);
  return imageHeader({
    format: 'tiff',
    width,
    height,
    channels: await countChannels(tiff, fields, layout),
    depth: layout.bits === 16 ? 16 : 8,
    // libtiff converts subsampled chrominance itself, always to RGBA.
    alpha: alpha || layout.isSubsampled,
    // libvips reads such a picture by strips, not by rows, and one strip may be a whole plane.
    progressive: layout.isPlanar,
    orientation: validOrientation(await optional(tiff, fields, TAGS.orientation, 1)),
    ...(page === 0 ? {} : { page }),
    ...(subifd === undefined ? {} : { subifd }),
    ...(pages === 1 ? {} : { pages }),
    ...(dropped === 0 ? {} : { extras: dropped }),
    ...(warnsOfHeaderOnly(layout) ? { lenient: true } : {}),
  });
}

async function readLayout(tiff: TiffStructure, fields: TiffFields): Promise<Layout> {
  const photometric = await required(tiff, fields, TAGS.photometric);
  const inks = await optional(tiff, fields, TAGS.inkSet, CMYK_INKS);
  if (photometric === SEPARATED && inks !== CMYK_INKS) throw unsupported('CMYK', "the TIFF's inks", inks);
  const compression = await optional(tiff, fields, TAGS.compression, 1);
  return {
    photometric,
    compression,
    predictor: await optional(tiff, fields, TAGS.predictor, 1),
    bits: await common(tiff, fields, TAGS.bits),
    format: await common(tiff, fields, TAGS.sampleFormat),
    samples: await optional(tiff, fields, TAGS.samples, 1),
    extraSamples: await values(tiff, fields, TAGS.extraSamples),
    isPlanar: (await optional(tiff, fields, TAGS.planes, 1)) === SEPARATE_PLANES,
    isTiled: fields.has(TAGS.tileWidth),
    isSubsampled:
      photometric === YCBCR && compression !== 7 && (await isSubsampled(tiff, fields.get(TAGS.subsampling))),
  };
}

/** Channels as libvips decodes them, with the ones that are dropped. */
async function countChannels(
  tiff: TiffStructure,
  fields: TiffFields,
  { photometric, samples, bits, isSubsampled }: Layout,
) {
  if (photometric === PALETTE && !(await isGreyPalette(tiff, fields, bits ?? 1))) return samples + 2;
  return isSubsampled ? 4 : samples;
}

/** True when red, green and blue are equal in every entry. A palette above 8 bits counts as coloured. */
async function isGreyPalette(tiff: TiffStructure, fields: TiffFields, bits: number): Promise<boolean> {
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
  const [across, down] = await readNumbers(tiff, field, 2);
  return across !== 1 || down !== 1;
}

async function required(tiff: TiffStructure, fields: TiffFields, tag: number): Promise<number> {
  const field = fields.get(tag);
  const value = field && (await readNumber(tiff, field));
  if (value === undefined) throw corrupt('a whole number', `TIFF tag ${tag}`, undefined);
  return value;
}

async function optional(tiff: TiffStructure, fields: TiffFields, tag: number, fallback: number): Promise<number> {
  const field = fields.get(tag);
  return (field && (await readNumber(tiff, field))) ?? fallback;
}

async function values(tiff: TiffStructure, fields: TiffFields, tag: number): Promise<number[]> {
  const field = fields.get(tag);
  return field === undefined ? [] : readNumbers(tiff, field, MAX_VALUES);
}

/** The value that all samples have, 1 where none is given; null when they differ. */
async function common(tiff: TiffStructure, fields: TiffFields, tag: number): Promise<number | null> {
  const [first = 1, ...others] = await values(tiff, fields, tag);
  return others.every((value) => value === first) ? first : null;
}
