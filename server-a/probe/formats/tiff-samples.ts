import type { DarkroomError } from '../../../shared/errors.ts';
import { unsupported } from './image-header.ts';

// What libtiff and libvips (its tiff2vips.c) decode correctly in sharp's build. Everything else would fail after the
// task was accepted, or would come out black, white or as noise.

/** Values of PhotometricInterpretation (TIFF 6.0, appendix A). */
export const WHITE_IS_ZERO = 0;
export const BLACK_IS_ZERO = 1;
export const RGB = 2;
export const PALETTE = 3;
export const SEPARATED = 5;
export const YCBCR = 6;
export const CIELAB = 8;

/** The colour spaces that are decoded, and how many samples each has without extra ones. */
const COLOURS: ReadonlyMap<number, number> = new Map([
  [WHITE_IS_ZERO, 1],
  [BLACK_IS_ZERO, 1],
  [RGB, 3],
  [PALETTE, 1],
  [SEPARATED, 4],
  [YCBCR, 3],
  [CIELAB, 3],
]);
const COLOUR_NAMES: ReadonlyMap<number, string> = new Map([
  [WHITE_IS_ZERO, 'grey'],
  [BLACK_IS_ZERO, 'grey'],
  [RGB, 'RGB'],
  [PALETTE, 'palette'],
  [SEPARATED, 'CMYK'],
  [YCBCR, 'YCbCr'],
  [CIELAB, 'CIELAB'],
  [4, 'a transparency mask'],
  [9, 'ICC Lab'],
  [10, 'ITU Lab'],
  [32_844, 'LogL'],
  [32_845, 'LogLuv'],
]);

/** Values of Compression that are decoded. */
const JPEG = 7;
const WEBP = 50_001;
const CCITT: readonly number[] = [2, 3, 4, 32_771];
/** LZW and both codes of Deflate: the only ones that a predictor applies to. */
const PREDICTED: readonly number[] = [5, 8, 32_946];
const NEXT = 32_766;
const THUNDERSCAN = 32_809;
const READABLE: ReadonlySet<number> = new Set([1, 32_773, ...PREDICTED, ...CCITT, JPEG, WEBP, NEXT, THUNDERSCAN]);
const COMPRESSION_NAMES: ReadonlyMap<number, string> = new Map([
  [6, 'old-style JPEG'],
  [9, 'JBIG'],
  [10, 'JBIG'],
  [32_767, 'Sony RAW'],
  [32_769, 'packed RAW'],
  [32_770, 'Samsung RAW'],
  [32_908, 'PixarFilm'],
  [32_909, 'PixarLog'],
  [33_003, 'JPEG 2000'],
  [33_004, 'JPEG 2000'],
  [33_005, 'JPEG 2000'],
  [34_661, 'JBIG'],
  [34_676, 'SGI Log'],
  [34_677, 'SGI Log 24'],
  [34_712, 'JPEG 2000'],
  [34_713, 'Nikon RAW'],
  [34_887, 'LERC'],
  [34_892, 'lossy JPEG of DNG'],
  [34_925, 'LZMA'],
  [34_926, 'ZSTD'],
  [34_933, 'PNG'],
  [34_934, 'JPEG XR'],
  [50_000, 'ZSTD'],
  [50_002, 'JPEG XL'],
  [52_546, 'JPEG XL'],
  [65_000, 'Kodak RAW'],
  [65_535, 'Pentax RAW'],
]);

/** Values of SampleFormat; `undefined` data counts as unsigned. */
const UNSIGNED: ReadonlySet<number> = new Set([1, 4]);
const FORMAT_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'unsigned'],
  [2, 'signed'],
  [3, 'floating-point'],
  [4, 'unsigned'],
  [5, 'complex'],
  [6, 'complex'],
]);

/** Values of ExtraSamples: alpha, premultiplied and not. */
const ASSOCIATED = 1;
const UNASSOCIATED = 2;
const HORIZONTAL_PREDICTOR = 2;
const MAX_SAMPLES = 64;

/** What a TIFF's directory says of its samples. */
export interface Layout {
  readonly photometric: number;
  readonly compression: number;
  readonly predictor: number;
  /** Bits of a sample and their format; null when the samples differ. */
  readonly bits: number | null;
  readonly format: number | null;
  readonly samples: number;
  /** The meaning of each sample after the colours, as far as it is given. */
  readonly extraSamples: readonly number[];
  /** Each channel in a plane of its own. */
  readonly isPlanar: boolean;
  readonly isTiled: boolean;
  /** True for chrominance at a lower resolution without JPEG compression. */
  readonly isSubsampled: boolean;
}

/** How the samples after the colours are used. */
export interface Extras {
  readonly alpha: boolean;
  /** Channels that are dropped after decoding. */
  readonly dropped: number;
}

/** Throws UNSUPPORTED_IMAGE, with the reason, for samples that would not be decoded correctly. */
export function checkSamples(layout: Layout): void {
  checkCompression(layout);
  checkFormat(layout);
  checkCoding(layout);
  checkColours(layout);
  checkExtras(layout);
  checkPlanes(layout);
}

/** Samples of one pixel that are neither colour nor alpha, and whether there is alpha (TIFF 6.0, section 18). */
export function extrasOf({ photometric, samples, extraSamples }: Layout): Extras {
  const count = samples - (COLOURS.get(photometric) ?? samples);
  const [first] = extraSamples;
  // Of several extra samples none is shown: only some writers mark which of them is the picture's own alpha.
  const alpha = count === 1 && (first === ASSOCIATED || first === UNASSOCIATED);
  return { alpha, dropped: alpha ? 0 : count };
}

/**
 * True where damaged pixels are an error in libtiff, and its warnings are about fields that it corrects: tags out of
 * order, text without an end, missing StripByteCounts. Of PackBits, CCITT and JPEG it only warns of damage, and libvips
 * skips tiles that it cannot read.
 */
export function warnsOfHeaderOnly({ compression, isTiled }: Layout): boolean {
  return !isTiled && [1, ...PREDICTED, WEBP, NEXT, THUNDERSCAN].includes(compression);
}

function checkCompression({ compression }: Layout): void {
  if (READABLE.has(compression)) return;
  const expected = 'no compression, LZW, Deflate, PackBits, CCITT, JPEG or WebP';
  throw refused(expected, nameOf(COMPRESSION_NAMES, compression, 'compression'));
}

/** Bits and samples that each compression can have. */
function checkCoding({ compression, predictor, bits, samples, isPlanar }: Layout): void {
  const isBilevel = bits === 1 && samples === 1;
  if (CCITT.includes(compression) && !isBilevel) throw refused('1 bit for CCITT', `${samples} × ${bits} bits`);
  if (compression === THUNDERSCAN && bits !== 4) throw refused('4 bits for ThunderScan', `${bits} bits`);
  if (compression === NEXT && bits !== 2) throw refused('2 bits for NeXT', `${bits} bits`);
  if ([JPEG, WEBP].includes(compression) && bits !== 8) throw refused('8 bits for JPEG and WebP', `${bits} bits`);
  if (compression === WEBP && (isPlanar || samples < 3 || samples > 4)) {
    throw refused('RGB or RGBA for WebP', `${samples} samples${isPlanar ? ' in planes' : ''}`);
  }
  if (!PREDICTED.includes(compression) || predictor === 1) return;
  if (predictor !== HORIZONTAL_PREDICTOR || (bits !== 8 && bits !== 16)) {
    throw refused('no predictor, or the horizontal one of 8 or 16 bits', `predictor ${predictor} of ${bits} bits`);
  }
}

function checkFormat({ bits, format, samples, photometric }: Layout): void {
  if (bits === null || format === null) throw refused('samples of one kind', 'samples of different bits or formats');
  if (!UNSIGNED.has(format)) {
    throw refused('unsigned whole numbers', `${bits}-bit ${nameOf(FORMAT_NAMES, format, 'format')} samples`);
  }
  const isSingle = samples === 1 && [WHITE_IS_ZERO, BLACK_IS_ZERO, PALETTE].includes(photometric);
  if (bits === 8 || bits === 16 || (isSingle && [1, 2, 4].includes(bits))) return;
  throw refused('8 or 16 bits a sample', `${bits}-bit unsigned samples`);
}

function checkColours({ photometric, samples, bits, isSubsampled, compression }: Layout): void {
  const colours = COLOURS.get(photometric);
  if (colours === undefined || samples < colours) {
    const received = nameOf(COLOUR_NAMES, photometric, 'photometric interpretation');
    throw refused('grey, RGB, palette, YCbCr, CMYK or CIELAB', `${received} of ${samples} samples`);
  }
  if (samples > MAX_SAMPLES) throw refused(`at most ${MAX_SAMPLES} channels`, `${samples}`);
  if (photometric === CIELAB && bits !== 16) throw refused('16 bits for CIELAB', `${bits} bits`);
  // libvips takes such samples for RGB.
  if (photometric === YCBCR && (bits !== 8 || (compression !== JPEG && !isSubsampled))) {
    throw refused('8-bit YCbCr in JPEG or subsampled', `YCbCr of ${bits} bits at full resolution`);
  }
}

function checkExtras(layout: Layout): void {
  const { photometric, samples, bits, extraSamples } = layout;
  const count = samples - (COLOURS.get(photometric) ?? samples);
  if (count === 0) return;
  if (photometric === CIELAB || photometric === YCBCR) throw refused('3 samples for CIELAB and YCbCr', `${samples}`);
  const premultiplied = extraSamples.indexOf(ASSOCIATED);
  // A palette's index cannot be premultiplied. Of four channels, libvips takes the last for the alpha.
  const isMistaken = photometric === PALETTE || (samples === 4 && premultiplied !== count - 1);
  if (premultiplied >= 0 && isMistaken) throw refused('alpha that is not premultiplied', 'premultiplied alpha');
  if (photometric === SEPARATED && bits === 16 && extrasOf(layout).alpha) {
    throw refused('8 bits for CMYK with alpha', '16 bits');
  }
}

/** libvips reads planes by bytes, and only those of RGB and CMYK. */
function checkPlanes({ isPlanar, isTiled, photometric, samples, bits }: Layout): void {
  if (!isPlanar) return;
  if (isTiled) throw refused('strips for samples in planes', 'tiles');
  const isByteOfOne = samples === 1 && (bits === 8 || bits === 16);
  if (!isByteOfOne && photometric !== RGB && photometric !== SEPARATED) {
    throw refused('RGB or CMYK for samples in planes', `${samples} × ${bits} bits of another colour space`);
  }
}

function nameOf(names: ReadonlyMap<number, string>, code: number, kind: string): string {
  return names.get(code) ?? `${kind} ${code}`;
}

function refused(expected: string, received: string): DarkroomError {
  return unsupported(expected, 'the TIFF', received);
}
