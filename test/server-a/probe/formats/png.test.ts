import { deflateSync } from 'node:zlib';
import { expect } from 'chai';
import { bytes, chunk, exif, pngStart } from '../../../support/hand-made.ts';
import { expectAgreement, probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const PALETTE = chunk('PLTE', Buffer.alloc(6, 0x55));

/** A complete PNG of 40 × 20 pixels with the chunks `before` and `after` around its picture data. */
function png(depth: number, colourType: number, before: Uint8Array[] = [], after: Uint8Array[] = [], interlace = 0) {
  const row = 1 + Math.ceil((40 * depth * (CHANNELS[colourType] ?? 0)) / 8);
  const data = chunk('IDAT', deflateSync(Buffer.alloc(40 * row)));
  const palette = colourType === 3 ? [PALETTE] : [];
  return bytes(pngStart(40, 20, depth, colourType, interlace), ...palette, ...before, data, ...after, chunk('IEND'));
}

describe('probe of PNG', () => {
  it('agrees with sharp on every colour type and depth, interlaced or not', async () => {
    const kinds = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
    for (const [colourType, depths] of Object.entries(kinds)) {
      for (const depth of depths) {
        await expectAgreement(png(depth, Number(colourType)));
        await expectAgreement(png(depth, Number(colourType), [], [], 1));
      }
    }
  });

  it('counts tRNS as alpha where libpng does', async () => {
    const transparency = (length: number) => [chunk('tRNS', Buffer.alloc(length))];
    for (const [depth, colourType, length, alpha] of [
      [1, 0, 2, true],
      [16, 0, 2, true],
      [8, 2, 6, true],
      [8, 2, 0, false],
      [8, 2, 2, false],
      [1, 3, 1, true],
      [1, 3, 2, true],
      [1, 3, 3, false],
      [8, 6, 6, true],
    ] as const) {
      const header = await expectAgreement(png(depth, colourType, transparency(length)));
      expect(header.alpha, `${depth} bits, type ${colourType}, ${length} bytes`).to.equal(alpha);
    }
    expect(await expectAgreement(png(8, 2, [], transparency(6)))).to.include({ alpha: false });
  });

  it('ignores tRNS before the palette', async () => {
    const data = chunk('IDAT', deflateSync(Buffer.alloc(20 * 41)));
    const file = bytes(pngStart(40, 20, 8, 3), chunk('tRNS', Buffer.alloc(1)), PALETTE, data, chunk('IEND'));
    expect(await expectAgreement(file)).to.include({ channels: 3, alpha: false });
  });

  it('uses the orientation of the first eXIf before the picture data', async () => {
    const orientation = (value: number) => chunk('eXIf', exif(value));
    expect(await expectAgreement(png(8, 2, [orientation(6), orientation(3)]))).to.include({
      width: 20,
      orientation: 6,
    });
    expect(await expectAgreement(png(8, 2, [], [orientation(6)]))).to.include({ width: 40, orientation: 1 });
    const prefixed = chunk('eXIf', bytes('Exif\0\0', exif(6)));
    expect(await expectAgreement(png(8, 2, [prefixed]))).to.include({ orientation: 1 });
  });

  it('reads a header that claims 786464 × 32 pixels of 16-bit RGBA from a file without pixels', async () => {
    const file = bytes(pngStart(786_464, 32, 16, 6), chunk('IDAT'));
    expect(await probeBytes(file)).to.include({ width: 786_464, height: 32, channels: 4, depth: 16 });
  });

  it('refuses the PNG of iOS apps, and says so', async () => {
    const ios = bytes(
      '\x89PNG\r\n\x1a\n',
      chunk('CgBI', Buffer.alloc(4)),
      pngStart(20, 20, 8, 6).subarray(8),
      chunk('IDAT'),
    );
    expect(await expectRefusal(ios, 'UNSUPPORTED_IMAGE')).to.include('CgBI');
  });

  it('refuses invalid headers', async () => {
    const data = chunk('IDAT');
    for (const broken of [
      bytes(pngStart(0, 20, 8, 2), data),
      bytes(pngStart(20, 0, 8, 2), data),
      bytes(pngStart(0x8000_0000, 20, 8, 2), data),
      bytes(pngStart(20, 20, 3, 2), data),
      bytes(pngStart(20, 20, 16, 3), data),
      bytes(pngStart(20, 20, 8, 5), data),
      bytes(pngStart(20, 20, 8, 2, 2), data),
      bytes(pngStart(20, 20, 8, 2), chunk('IEND')),
      bytes('\x89PNG\r\n\x1a\n', chunk('gAMA', Buffer.alloc(13)), data),
      bytes(pngStart(20, 20, 8, 2), 0xff, 0xff, 0xff, 0xff, 'iCCP', data),
    ]) {
      await expectRefusal(broken, 'IMAGE_CORRUPT');
    }
  });

  it('refuses a file of empty chunks only', async () => {
    const file = bytes(pngStart(20, 20, 8, 2), Buffer.alloc(12 * 70_000, chunk('teXt')));
    expect(await expectRefusal(file, 'IMAGE_CORRUPT')).to.match(/at most 65536 chunks/);
  });
});
