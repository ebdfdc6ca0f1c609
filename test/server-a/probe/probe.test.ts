import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import sharp from 'sharp';
import { z } from 'zod';
import { SNIFF_BYTES, sniff } from '../../../server-a/probe/probe.ts';
import { DarkroomError } from '../../../shared/errors.ts';
import type { ImageHeader } from '../../../shared/image-header.ts';
import { checkInputLimits } from '../../../shared/limits.ts';
import { FORMATS, type Format } from '../../../shared/operations/format.ts';
import { box, bytes, chunk, frameHeader, pngStart, riffChunk, scanHeader } from '../../support/hand-made.ts';
import { requireShared } from '../../support/shared.ts';
import { expectAgreement, probeBytes } from './agreement.ts';
import { expectRefusal } from './refusal.ts';

const LIMITS = { maxPixels: 100_000_000, maxSide: 16_384, maxDecodedMb: 400, maxFrames: 1000, maxAnimationSeconds: 10 };
const photosSchema = z.array(z.object({ file: z.string(), format: z.enum(FORMATS) }));

/** A small picture of each format, with alpha, EXIF or frames, which make headers longer. */
async function smallPictures(): Promise<Record<Format, Buffer>> {
  const page = (red: number) =>
    sharp({ create: { width: 12, height: 8, channels: 4, background: { r: red, g: 80, b: 0, alpha: 0.5 } } });
  const rotated = (format: Format) => page(9).withMetadata({ orientation: 6 }).toFormat(format).toBuffer();
  const pages = await Promise.all([page(0).png().toBuffer(), page(200).png().toBuffer()]);
  return {
    jpeg: await rotated('jpeg'),
    png: await rotated('png'),
    avif: await rotated('avif'),
    tiff: await rotated('tiff'),
    webp: await sharp(pages, { join: { animated: true } })
      .withMetadata({ orientation: 6 })
      .webp()
      .toBuffer(),
    gif: await sharp(pages, { join: { animated: true } })
      .gif()
      .toBuffer(),
  };
}

/** The header, or null for one of the two codes of a refusal. Any other error is thrown. */
async function headerOrRefusal(file: Uint8Array): Promise<ImageHeader | null> {
  try {
    return await probeBytes(file);
  } catch (error) {
    if (error instanceof DarkroomError && ['IMAGE_CORRUPT', 'UNSUPPORTED_IMAGE'].includes(error.code)) return null;
    throw error;
  }
}

describe('sniff', () => {
  const foreign: Readonly<Record<string, readonly [file: Uint8Array, found: string]>> = {
    'an SVG': [bytes('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'SVG'],
    'an SVG after an XML declaration': [bytes('<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="1"/>'), 'SVG'],
    'other XML': [bytes('<?xml version="1.0"?><note/>'), 'XML'],
    'a web page': [bytes('\n<!DOCTYPE html><p>404</p>'), 'HTML'],
    'a text file': [Buffer.from('\ufeffjust a note, café'), 'Text'],
    'a Canon RAW': [fileType('crx ', 'isom'), 'Camera RAW (Canon CR3)'],
    'a video': [fileType('isom', 'mp42'), "A video or another ISO media file (brand 'isom')"],
    'a BMP': [bytes('BM', Buffer.alloc(60)), 'BMP'],
    'a PDF': [bytes('%PDF-1.7\n'), 'PDF'],
    'Olympus RAW': [bytes('IIRO', Buffer.alloc(60)), 'Camera RAW (Olympus)'],
    'Panasonic RAW': [bytes('IIU\0', Buffer.alloc(60)), 'Camera RAW (Panasonic)'],
    'Fujifilm RAW': [bytes('FUJIFILMCCD-RAW ', Buffer.alloc(60)), 'Camera RAW (Fujifilm)'],
    'Canon CR3': [box('ftyp', 'crx ', Buffer.alloc(4)), 'Camera RAW (Canon CR3)'],
    'a JPEG XL codestream': [bytes(0xff, 0x0a, 1, 2), 'JPEG XL'],
    'a JPEG XL container': [bytes('\0\0\0\x0cJXL \r\n\x87\n'), 'JPEG XL'],
    'a JPEG 2000': [bytes('\0\0\0\x0cjP  \r\n\x87\n'), 'JPEG 2000'],
    'a WAVE, which is RIFF like WebP': [riffChunk('RIFF', bytes('WAVE', Buffer.alloc(20))), 'A WAVE sound'],
    'a ZIP archive': [bytes('PK\x03\x04', Buffer.alloc(20)), 'A ZIP archive'],
    'a GIF of an unknown version': [bytes('GIF90a', Buffer.alloc(20)), 'An unknown format'],
    'nothing but zeros': [Buffer.alloc(40), 'An unknown format'],
    'an empty file': [Buffer.alloc(0), 'An empty file'],
    'a file that is too short': [bytes(0xff, 0xd8), 'An unknown format'],
  };
  for (const [name, [file, found]] of Object.entries(foreign)) {
    it(`names ${name}`, async () => {
      const message = `${found} is not among the formats Darkroom reads; send JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF`;
      expect(await expectRefusal(file, 'UNSUPPORTED_IMAGE')).to.equal(message);
      expect(() => sniff(file)).to.throw(DarkroomError, message);
    });
  }

  it('needs only the first SNIFF_BYTES', async () => {
    for (const [format, file] of Object.entries(await smallPictures())) {
      expect(sniff(file)).to.equal(format);
      expect(sniff(file.subarray(0, SNIFF_BYTES))).to.equal(format);
    }
  });

  it('recognizes TIFF and BigTIFF in both byte orders', () => {
    for (const magic of ['II*\0', 'MM\0*', 'II+\0', 'MM\0+']) expect(sniff(bytes(magic))).to.equal('tiff');
  });
});

describe('probe', () => {
  it('agrees with sharp on every photograph', async function () {
    const folder = join(requireShared(this), 'photos');
    const photos = photosSchema.parse(JSON.parse(await readFile(join(folder, 'photos.json'), 'utf8')));
    for (const { file, format } of photos) {
      expect(await expectAgreement(await readFile(join(folder, file))), file).to.include({ format });
    }
  });

  const picture = (channels: 3 | 4) =>
    sharp({ create: { width: 37, height: 23, channels, background: { r: 200, g: 100, b: 50, alpha: 0.4 } } });
  const spaces = ['srgb', 'b-w', 'rgb16', 'grey16', 'cmyk', 'scrgb'] as const;
  const encodings = {
    jpeg: [{}, { progressive: true }],
    png: [{}, { progressive: true }, { palette: true }],
    webp: [{}, { lossless: true }],
    avif: [{ effort: 0 }, { effort: 0, bitdepth: 10 }],
    gif: [{}, { progressive: true }],
    tiff: [{ compression: 'lzw' }, { compression: 'none', bigtiff: true }, { compression: 'jpeg' }],
  } as const satisfies Record<Format, readonly object[]>;
  for (const format of FORMATS) {
    it(`agrees with sharp on ${format} with and without alpha, in every colour space, at every orientation`, async () => {
      for (const options of encodings[format]) {
        for (const channels of [3, 4] as const) {
          for (const space of spaces) {
            // scRGB in TIFF is floating point, which the probe refuses.
            if (format === 'tiff' && space === 'scrgb') continue;
            const made = picture(channels).toColourspace(space).toFormat(format, options);
            await expectAgreement(await made.toBuffer());
          }
        }
      }
      for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
        const turned = picture(3).withMetadata({ orientation }).toFormat(format, encodings[format][0]);
        await expectAgreement(await turned.toBuffer());
      }
    });
  }

  it('agrees with sharp on the frames of animations', async () => {
    const frames = await Promise.all(
      ['red', 'green', 'blue'].map((background) =>
        sharp({ create: { width: 37, height: 23, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    for (const format of ['gif', 'webp'] as const) {
      const file = await sharp(frames, { join: { animated: true } })
        .toFormat(format)
        .toBuffer();
      expect(await expectAgreement(file)).to.include({ frames: 3, width: 37, height: 23 });
    }
  });

  it('reads headers that claim far more pixels than the file has, so that the limits refuse them', async () => {
    const rgba16 = bytes(pngStart(786_464, 32, 16, 6), chunk('IDAT'));
    const hugePng = bytes(pngStart(60_000, 60_000, 8, 2), chunk('IDAT'));
    const hugeJpeg = bytes(0xff, 0xd8, frameHeader(60_000, 60_000), scanHeader());
    for (const file of [rgba16, hugePng, hugeJpeg]) {
      const header = await probeBytes(file);
      expect(() => checkInputLimits(header, LIMITS)).to.throw(DarkroomError, /at most 16384 pixels a side/);
    }
    const deep = await probeBytes(bytes(pngStart(9000, 9000, 16, 6), chunk('IDAT')));
    expect(() => checkInputLimits(deep, LIMITS)).to.throw(DarkroomError, /bytes when decoded/);
  });

  it('returns the right header or refuses, for every length of a truncated file', async () => {
    for (const [format, file] of Object.entries(await smallPictures())) {
      const whole = await probeBytes(file);
      let right = 0;
      for (let length = 0; length < file.length; length++) {
        const header = await headerOrRefusal(file.subarray(0, length));
        if (header === null) continue;
        right += 1;
        // The probe cannot see what was cut off: frames, and the chunks after the picture in a WebP.
        expect(header, `${format} cut to ${length}`).to.include({ format, depth: whole.depth });
        expect([header.width, header.height]).to.have.members([whole.width, whole.height]);
        expect(header.frames).to.be.at.most(whole.frames);
      }
      // The dimensions are at the start of every format except TIFF, whose directory may come last.
      if (format !== 'tiff') expect(right, format).to.be.above(0);
    }
  });

  it('returns a header or refuses, for any bytes after any magic bytes', async () => {
    const magic = fc.constantFrom(
      '',
      '\xff\xd8\xff',
      '\xff\xd8\xff\xe1\0\x40Exif\0\0II*\0\x08\0\0\0',
      '\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR',
      'GIF89a',
      'II*\0\x08\0\0\0',
      'MM\0+\0\x08\0\0',
      'RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0',
      'RIFF\xff\0\0\0WEBPVP8 ',
      '\0\0\0\x10ftypavif\0\0\0\0',
      '\0\0\0\x10ftypavif\0\0\0\0\0\0\0\x80meta\0\0\0\0\0\0\0\x0epitm',
    );
    await fc.assert(
      fc.asyncProperty(magic, fc.uint8Array({ maxLength: 200 }), async (start, rest) => {
        await headerOrRefusal(bytes(start, rest));
      }),
      { numRuns: 3000 },
    );
  });

  it('returns a header or refuses, for real files with changed bytes', async () => {
    const files = Object.values(await smallPictures());
    const change = fc.tuple(fc.nat({ max: 2000 }), fc.oneof(fc.constantFrom(0, 1, 0x7f, 0xff), fc.nat({ max: 255 })));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(change, { minLength: 1, maxLength: 8 }),
        async (file, changes) => {
          const changed = Buffer.from(file);
          for (const [offset, value] of changes) changed[offset % changed.length] = value;
          await headerOrRefusal(changed);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

function fileType(brand: string, ...compatible: readonly string[]): Buffer {
  return box('ftyp', brand, Buffer.alloc(4), ...compatible);
}
