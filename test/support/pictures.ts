import sharp, { type Sharp } from 'sharp';
import type { Product } from '../../server-b/job.ts';
import { Deadline } from '../../server-b/operations/deadline.ts';
import { Picture } from '../../server-b/operations/picture.ts';
import { type Raster, rasterize } from '../../server-b/operations/raster.ts';
import type { PictureLimits } from '../../shared/config.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import { FORMATS, type Format } from '../../shared/operations/format.ts';

/** The default limits. */
export const LIMITS: PictureLimits = {
  maxPixels: 100_000_000,
  maxSide: 16_384,
  maxDecodedMb: 400,
  maxFrames: 1000,
  maxAnimationSeconds: 10,
};

/** Bytes in an ArrayBuffer of their own. */
export function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

/** The header that Server A announces for a picture. */
export async function headerOf(body: Uint8Array): Promise<ImageHeader> {
  const metadata = await sharp(body).metadata();
  const format = FORMATS.find((one) => one === (metadata.format === 'heif' ? 'avif' : metadata.format)) ?? 'jpeg';
  return {
    format,
    width: metadata.autoOrient.width,
    height: metadata.autoOrient.height,
    frames: format === 'gif' || format === 'webp' ? (metadata.pages ?? 1) : 1,
    channels: metadata.channels,
    depth: metadata.depth === 'ushort' ? 16 : 8,
    alpha: metadata.hasAlpha,
    progressive: metadata.isProgressive ?? false,
    orientation: metadata.orientation ?? 1,
  };
}

/** Opens a picture like a worker does for operations. */
export async function openPicture(body: Uint8Array, seconds = 30): Promise<Picture> {
  return Picture.open(own(body), await headerOf(body), LIMITS, new Deadline(seconds * 1000));
}

/** Asserts that the result of an operation is a picture, and returns it. */
export function drawn(product: Product): Extract<Product, { kind: 'picture' }> {
  if (product.kind !== 'picture') throw new Error('Expected a picture, received data');
  return product;
}

/** The pixels of an encoded picture, its first frame, in sRGB. */
export async function decode(body: Uint8Array | null): Promise<Raster> {
  if (body === null) throw new Error('Expected a picture, received none');
  return rasterize(sharp(body));
}

/** The values of one pixel. */
export function pixelAt({ pixels, width, channels }: Raster, x: number, y: number): number[] {
  const offset = (y * width + x) * channels;
  return Array.from(pixels.subarray(offset, offset + channels));
}

/** The mean absolute difference of two pictures of one shape, 0 to 255. */
export function meanDifference(one: Raster, other: Raster): number {
  if (one.pixels.length !== other.pixels.length) throw new Error('Expected two pictures of one shape');
  let sum = 0;
  for (let index = 0; index < one.pixels.length; index += 1) {
    sum += Math.abs((one.pixels[index] ?? 0) - (other.pixels[index] ?? 0));
  }
  return sum / one.pixels.length;
}

/** A picture of one colour. */
export async function plain(width: number, height: number, color: string, format: Format = 'png'): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: color } })
    .toFormat(format)
    .toBuffer();
}

/** A picture with red and green quarters above, blue and white below, so that turning and mirroring are visible. */
export function quarters(width: number, height: number): Sharp {
  const [right, bottom] = [Math.floor(width / 2), Math.floor(height / 2)];
  const pixels = new Uint8Array(width * height * 3);
  const colors = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [255, 255, 255],
  ];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      pixels.set(colors[(y < bottom ? 0 : 2) + (x < right ? 0 : 1)] ?? [], (y * width + x) * 3);
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** A picture of a red, a green and a blue stripe: side by side if it is wider than high, else one below the other. */
export function stripes(width: number, height: number): Sharp {
  const colors = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
  ];
  const pixels = new Uint8Array(width * height * 3);
  for (let index = 0; index < width * height; index += 1) {
    const share = width > height ? (index % width) / width : Math.floor(index / width) / height;
    pixels.set(colors[Math.floor(3 * share)] ?? [], index * 3);
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** Smooth waves with fine detail, always the same: a bad resampler changes them visibly. */
export function waves(width: number, height: number): Sharp {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const offset = (y * width + x) * 3;
      pixels[offset] = 128 + 100 * Math.sin(x / 9) * Math.cos(y / 14);
      pixels[offset + 1] = 128 + 100 * Math.sin((x + y) / 23);
      pixels[offset + 2] = (255 * (x + y)) / (width + height);
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}
