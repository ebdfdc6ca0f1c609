import type { ImageHeader } from '../../../shared/image-header.ts';
import type { Size } from '../../../shared/operations/format.ts';
import type { ByteReader } from '../byte-reader.ts';
import { checkExtents } from './heif-extents.ts';
import { type Items, openItems, propertiesOf, referencesOf, typeOf } from './heif-items.ts';
import { corrupt, imageHeader, unsupported } from './image-header.ts';
import type { Box } from './isobmff.ts';

/** The most auxiliary pictures that are searched for an alpha channel. */
const MAX_AUXILIARIES = 16;
/** The most steps from a derived item, such as a grid, to coded pixels. */
const MAX_DERIVATIONS = 8;
/** The types of an alpha channel in an auxC property (MIAF, and HEIF for files that reuse its type). */
const ALPHA_TYPES: ReadonlySet<string> = new Set([
  'urn:mpeg:mpegB:cicp:systems:auxiliary:alpha',
  'urn:mpeg:hevc:2015:auxid:1',
]);
const MAX_ALPHA_TYPE_BYTES = 43;

/** Types of items that are made from other items (ISO/IEC 23008-12, section 6.6). */
const DERIVED: ReadonlySet<string> = new Set(['grid', 'iden', 'iovl']);
/** Codecs of HEIF that are not decoded, by the type of their items. */
const OTHER_CODECS: Readonly<Record<string, string>> = {
  avc1: 'H.264',
  vvc1: 'VVC',
  evc1: 'EVC',
  jpeg: 'JPEG',
  j2k1: 'JPEG 2000',
  unci: 'uncompressed pixels',
  tmap: 'a tone map',
};

/** A size after transformations, and the pixels that are decoded for it. */
interface Extent {
  readonly size: Size;
  readonly coded: number;
}

/** The item that holds coded pixels: the primary item itself, or the first that it is made from. */
interface Coded {
  readonly format: 'avif' | 'heic';
  readonly isDerived: boolean;
  readonly properties: readonly Box[];
}

/**
 * Reads the primary item of a HEIF file, which is AVIF or HEIC by that item's codec (AVIF 1.1; HEIF, ISO/IEC 23008-12):
 * its size after the crop and rotation of its properties, its bit depth, and whether another item is its alpha channel.
 * `orientation` is 1, because libheif rotates the picture by its properties and ignores EXIF. Throws IMAGE_CORRUPT when
 * boxes are missing, or boxes or the item's data exceed the file, and UNSUPPORTED_IMAGE for another codec.
 */
export async function readHeif(reader: ByteReader): Promise<ImageHeader> {
  const items = await openItems(reader);
  const properties = await propertiesOf(items, items.primary);
  const { size, coded } = await readExtent(reader, properties);
  const { format, isDerived, properties: codedProperties } = await findCoded(items);
  const bits = await readBits(reader, codedProperties, properties);
  const tile = isDerived ? await codedPixels(reader, codedProperties) : 0;
  const alphaItem = await findAlpha(items);
  const alpha = alphaItem !== undefined;
  await checkExtents(items, alpha ? [items.primary, alphaItem] : [items.primary]);
  // libheif decodes monochrome to RGB, too.
  const most = Math.max(coded, tile);
  return imageHeader({
    format,
    ...size,
    channels: alpha ? 4 : 3,
    depth: bits > 8 ? 16 : 8,
    alpha,
    progressive: format === 'heic' && !isDerived,
    ...(most > size.width * size.height ? { codedPixels: most } : {}),
  });
}

/** Follows derived items to the first coded one. Throws UNSUPPORTED_IMAGE for a codec that is not decoded. */
async function findCoded(items: Items): Promise<Coded> {
  let item = items.primary;
  for (let step = 0; step < MAX_DERIVATIONS; step += 1) {
    const type = await typeOf(items, item);
    if (type === 'hvc1' || type === 'av01') {
      const format = type === 'hvc1' ? 'heic' : 'avif';
      return { format, isDerived: step > 0, properties: await propertiesOf(items, item) };
    }
    if (!DERIVED.has(type)) {
      const shown = OTHER_CODECS[type] ?? `the item type '${type.replace(/[^ -~]/g, '?')}'`;
      throw unsupported('HEVC or AV1', 'the codec of the HEIF', `${shown}; send JPEG, PNG, HEIC or AVIF`);
    }
    const from = item;
    const [source] = await referencesOf(items, 'dimg', (one) => one === from, 1);
    if (source === undefined) throw corrupt('a dimg reference', `the ${type} item`, 'none');
    item = source.to;
  }
  throw corrupt(`at most ${MAX_DERIVATIONS} derivations`, 'the HEIF', 'more');
}

/** The size in ispe, then cropped by clap and rotated by irot, in the file's order. */
async function readExtent(reader: ByteReader, properties: readonly Box[]): Promise<Extent> {
  const whole = await readIspe(reader, properties);
  if (whole === undefined) throw corrupt('an ispe property', "the file's primary item", 'none');
  let size = whole;
  for (const { type, start, end } of properties) {
    if (type === 'clap') {
      await reader.need(start, 16, 'the clap box', end);
      size = crop(size, { width: readFraction(reader, start), height: readFraction(reader, start + 8) });
    }
    if (type === 'irot') {
      await reader.need(start, 1, 'the irot box', end);
      if (reader.u8(start) & 1) size = { width: size.height, height: size.width };
    }
  }
  return { size, coded: whole.width * whole.height };
}

async function readIspe(reader: ByteReader, properties: readonly Box[]): Promise<Size | undefined> {
  const ispe = properties.find((box) => box.type === 'ispe');
  if (ispe === undefined) return undefined;
  await reader.need(ispe.start + 4, 8, 'the ispe box', ispe.end);
  return { width: reader.u32(ispe.start + 4), height: reader.u32(ispe.start + 8) };
}

async function codedPixels(reader: ByteReader, properties: readonly Box[]): Promise<number> {
  const size = await readIspe(reader, properties);
  return size === undefined ? 0 : size.width * size.height;
}

/** The size after the crop to the clean aperture. */
function crop(whole: Size, clean: Size): Size {
  const fits = clean.width >= 1 && clean.height >= 1 && clean.width <= whole.width && clean.height <= whole.height;
  if (fits) return clean;
  const shown = `${clean.width}×${clean.height}`;
  throw corrupt(`at most ${whole.width}×${whole.height} pixels`, "the picture's clean aperture", shown);
}

/** A fraction of two unsigned 32-bit numbers, rounded. */
function readFraction(reader: ByteReader, offset: number): number {
  return Math.round(reader.u32(offset) / reader.u32(offset + 4));
}

/** Bits per sample: from the coded item's configuration, else from the primary item's pixi, else 8. */
async function readBits(reader: ByteReader, coded: readonly Box[], primary: readonly Box[]): Promise<number> {
  const configured = await configuredBits(reader, coded);
  if (configured !== undefined) return configured;
  const pixi = primary.find((box) => box.type === 'pixi');
  if (pixi === undefined) return 8;
  await reader.need(pixi.start + 4, 2, 'the pixi box', pixi.end);
  return reader.u8(pixi.start + 5);
}

/**
 * high_bitdepth and twelve_bit of av1C (AV1 in ISOBMFF, section 2.3.3), or the larger of bitDepthLumaMinus8 and
 * bitDepthChromaMinus8 of hvcC (ISO/IEC 14496-15, section 8.3.2.1).
 */
async function configuredBits(reader: ByteReader, properties: readonly Box[]): Promise<number | undefined> {
  for (const { type, start, end } of properties) {
    if (type === 'av1C') {
      await reader.need(start, 3, 'the av1C box', end);
      const flags = reader.u8(start + 2);
      if ((flags & 0x40) === 0) return 8;
      return flags & 0x20 ? 12 : 10;
    }
    if (type === 'hvcC') {
      await reader.need(start + 17, 2, 'the hvcC box', end);
      return 8 + Math.max(reader.u8(start + 17) & 7, reader.u8(start + 18) & 7);
    }
  }
  return undefined;
}

/** The item that is the alpha channel of the primary item, if there is one. */
async function findAlpha(items: Items): Promise<number | undefined> {
  const auxiliaries = await referencesOf(items, 'auxl', (_, to) => to === items.primary, MAX_AUXILIARIES);
  for (const { from } of auxiliaries) {
    const properties = await propertiesOf(items, from);
    const auxC = properties.find((box) => box.type === 'auxC');
    if (auxC && ALPHA_TYPES.has(await readAuxiliaryType(items.reader, auxC))) return from;
  }
  return undefined;
}

/** The type in an auxC box up to its NUL, cut at the length of the longest alpha type. */
async function readAuxiliaryType(reader: ByteReader, { start, end }: Box): Promise<string> {
  const length = Math.max(0, Math.min(MAX_ALPHA_TYPE_BYTES + 1, end - start - 4));
  await reader.need(start + 4, length, 'the auxC box', end);
  return reader.latin1(start + 4, length).split('\0', 1)[0] ?? '';
}
