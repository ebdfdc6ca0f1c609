import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';

const ANY_SIZE = { limitInputPixels: false };
const FRAMES = 10;

/** Two pictures of one size, from which the pictures of all kinds are made. */
export interface Sources {
  /** JPEG of noise, as hard to compress as a photograph, or harder. */
  readonly noise: string;
  /** PNG of coarse noise, for lossless formats: fine noise without loss would be too large to upload. */
  readonly coarse: string;
}

/** Makes the sources, with about this many megapixels, in an existing folder. */
export async function makeSources(folder: string, megapixels: number): Promise<Sources> {
  const height = Math.round(Math.sqrt((megapixels * 1e6) / 1.5));
  const width = Math.round(height * 1.5);
  const [noise, coarse] = [join(folder, `${megapixels}-noise.jpg`), join(folder, `${megapixels}-coarse.png`)];
  const gaussian = { type: 'gaussian' as const, mean: 128, sigma: 25 };
  const create = { width, height, channels: 3 as const, background: '#888888', noise: gaussian };
  await sharp({ create, ...ANY_SIZE })
    .blur(0.5)
    .jpeg({ quality: 50 })
    .toFile(noise);
  const small = await sharp(noise, ANY_SIZE).resize(300, 200).png().toBuffer();
  const enlarged = sharp(small).resize(width, height, { fit: 'fill', kernel: 'nearest' });
  await enlarged.png({ compressionLevel: 3 }).toFile(coarse);
  return { noise, coarse };
}

type Write = (noise: Sharp, coarse: Sharp) => Sharp | Promise<Sharp>;

/** Kinds of picture that decoders treat differently, each with how it is written. */
export const KINDS = {
  jpeg: (noise) => noise.jpeg({ quality: 50 }),
  'jpeg progressive': (noise) => noise.jpeg({ quality: 50, progressive: true }),
  'jpeg progressive 4:4:4': (noise) => noise.jpeg({ quality: 40, progressive: true, chromaSubsampling: '4:4:4' }),
  'jpeg turned by EXIF': (noise) => noise.withMetadata({ orientation: 6 }).jpeg({ quality: 50 }),
  png: (_, coarse) => coarse.png({ compressionLevel: 3 }),
  'png interlaced': (_, coarse) => coarse.png({ compressionLevel: 3, progressive: true }),
  'png 16 bits': (_, coarse) => coarse.toColourspace('rgb16').png({ compressionLevel: 3 }),
  'png 16 bits interlaced': (_, coarse) =>
    coarse.toColourspace('rgb16').png({ compressionLevel: 3, progressive: true }),
  'png with alpha': (_, coarse) => coarse.ensureAlpha(0.5).png({ compressionLevel: 3 }),
  webp: (noise) => noise.webp({ quality: 30, effort: 0 }),
  'webp lossless': (_, coarse) => coarse.webp({ lossless: true, effort: 0 }),
  'webp animated': async (noise) => (await animate(noise)).webp({ quality: 50, effort: 0 }),
  gif: (_, coarse) => coarse.gif({ effort: 1 }),
  'gif animated': async (noise) => (await animate(noise)).gif({ effort: 1 }),
  avif: (noise) => noise.avif({ quality: 30, effort: 0 }),
  'avif 10 bits': (noise) => noise.avif({ quality: 30, effort: 0, bitdepth: 10 }),
  tiff: (_, coarse) => coarse.tiff({ compression: 'lzw' }),
} as const satisfies Record<string, Write>;

export type Kind = keyof typeof KINDS;

/** Writes a picture of the kind. */
export async function makePicture(kind: Kind, { noise, coarse }: Sources, path: string): Promise<void> {
  const picture = await KINDS[kind](sharp(noise, ANY_SIZE), sharp(coarse, ANY_SIZE));
  await picture.toFile(path);
}

/** Cuts the picture into bands and uses them as frames, so that the number of pixels stays about the same. */
async function animate(picture: Sharp): Promise<Sharp> {
  const { data, info } = await picture.raw().toBuffer({ resolveWithObject: true });
  const { width, channels } = info;
  const pageHeight = Math.floor(info.height / FRAMES);
  const height = pageHeight * FRAMES;
  const pixels = data.subarray(0, width * height * channels);
  return sharp(pixels, { raw: { width, height, channels, pageHeight }, animated: true, ...ANY_SIZE });
}
