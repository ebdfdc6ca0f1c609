import { expect } from 'chai';
import sharp, { type Metadata } from 'sharp';
import { probe } from '../../../server-a/probe/probe.ts';
import type { RandomAccess } from '../../../server-a/probe/random-access.ts';
import { type ImageHeader, imageHeaderSchema } from '../../../shared/image-header.ts';

const DEPTHS: Readonly<Record<string, 8 | 16 | 32>> = {
  uchar: 8,
  char: 8,
  ushort: 16,
  short: 16,
  uint: 32,
  int: 32,
  float: 32,
};

/** Made once: zod compiles a new schema at its first use. */
const strictHeaderSchema = imageHeaderSchema.strict();

/** Random access to bytes in memory. Counts reads and bytes; a read beyond the end throws. */
export class Memory implements RandomAccess {
  readonly size: number;
  /** Bytes read so far; `reads` is the number of reads. */
  bytesRead = 0;
  reads = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < 0 || length < 0 || offset + length > this.size) {
      throw new RangeError(`Expected a read within ${this.size} bytes, received ${offset}+${length}`);
    }
    this.bytesRead += length;
    this.reads += 1;
    return this.#bytes.subarray(offset, offset + length);
  }
}

/** The header that the probe reads from a picture in memory, checked against the schema. */
export async function probeBytes(bytes: Uint8Array): Promise<ImageHeader> {
  return strictHeaderSchema.parse(await probe(new Memory(bytes)));
}

/**
 * Asserts that the probe's header agrees with sharp's metadata. Resolves with the header. Sharp counts channels that are
 * dropped as alpha, and does not report which pages are thumbnails, nor what its warnings are about.
 */
export async function expectAgreement(bytes: Uint8Array): Promise<ImageHeader> {
  const { page, subifd, pages, extras, lenient, ...header } = await probeBytes(bytes);
  const metadata = await sharp(bytes, {
    limitInputPixels: false,
    limitInputChannels: false,
    failOn: 'none',
    ...(page === undefined ? {} : { page }),
    tiff: { subifd: subifd ?? -1 },
  }).metadata();
  // A lossless WebP and a planar TIFF count as progressive; sharp does not report either.
  const isTold = header.format !== 'webp' && header.format !== 'tiff';
  const progressive = isTold ? metadata.isProgressive : header.progressive;
  const alpha = extras === undefined && metadata.hasAlpha;
  const { codedPixels: _notTold, ...told } = header;
  expect(told).to.deep.equal({ ...fromMetadata(metadata), progressive, alpha });
  return header;
}

function fromMetadata(metadata: Metadata) {
  const animated = metadata.format === 'gif' || metadata.format === 'webp';
  return {
    format: metadata.format === 'heif' ? 'avif' : metadata.format,
    width: metadata.autoOrient.width,
    height: metadata.autoOrient.height,
    frames: animated ? (metadata.pages ?? 1) : 1,
    channels: metadata.channels,
    depth: DEPTHS[metadata.depth],
    orientation: metadata.orientation ?? 1,
  };
}
