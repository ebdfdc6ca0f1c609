import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { resize } from '../../../server-b/operations/resize.ts';
import { FITS } from '../../../shared/operations/bounds.ts';
import { FORMATS } from '../../../shared/operations/format.ts';
import { type ResizeSpec, resizedSize } from '../../../shared/operations/resize.ts';
import { decode, drawn, meanDifference, openPicture, pixelAt, plain, quarters, waves } from '../../support/pictures.ts';
import { animation, expectNear, resized } from '../../support/resized.ts';
import { requireShared } from '../../support/shared.ts';

const half: ResizeSpec = { name: 'resize', operation: 'resize', scale_factor: 0.5 };

describe('resize', () => {
  it('makes exactly the size that resizedSize computes, for every fit and odd sizes', async function () {
    this.timeout(180_000);
    const side = fc.integer({ min: 1, max: 90 });
    const box = fc.record({ width: side, height: side, fit: fc.constantFrom(...FITS) });
    const oneSide = fc.oneof(fc.record({ width: side }), fc.record({ height: side }));
    const factor = fc.record({ scale_factor: fc.double({ min: 0.01, max: 3, noNaN: true }) });
    await fc.assert(
      fc.asyncProperty(
        side,
        side,
        fc.constantFrom('jpeg', 'png', 'webp'),
        fc.oneof(box, oneSide, factor),
        async (width, height, format, parameters) => {
          const body = await plain(width, height, '#336699', format);
          const facts = await resized(body, parameters);
          const expected = resizedSize({ width, height }, parameters);
          expect(facts).to.include({ kind: 'picture', format, frames: 1, ...expected });
        },
      ),
      { numRuns: 150 },
    );
  });

  it('writes each format, by default the format of the input', async () => {
    const body = await waves(40, 30).png().toBuffer();
    expect(await resized(body, { scale_factor: 0.5 })).to.include({ format: 'png', width: 20, height: 15 });
    for (const format of FORMATS) {
      const { picture, ...facts } = await resized(body, { scale_factor: 0.5, format });
      const metadata = await sharp(picture).metadata();
      expect(facts).to.include({ format, width: 20, height: 15 });
      expect(metadata.format).to.equal(format === 'avif' ? 'heif' : format);
      expect([metadata.width, metadata.height, metadata.depth]).to.deep.equal([20, 15, 'uchar']);
    }
  });

  it('turns a picture upright for each EXIF orientation, and removes the tag', async () => {
    const upright = await decode(await quarters(32, 24).png().toBuffer());
    for (let orientation = 1; orientation <= 8; orientation += 1) {
      const turned = await sideways(orientation);
      const body = await turned
        .withMetadata({ orientation })
        .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
        .toBuffer();
      const { picture, ...facts } = await resized(body, { scale_factor: 1, format: 'png' });
      expect(facts, `orientation ${orientation}`).to.include({ width: 32, height: 24 });
      const pixels = await decode(picture);
      for (const [x, y] of [
        [4, 4],
        [28, 4],
        [4, 20],
        [28, 20],
      ] as const) {
        const [expected, found] = [pixelAt(upright, x, y), pixelAt(pixels, x, y)];
        expect(Math.max(...expected.map((value, index) => Math.abs(value - (found[index] ?? 0))))).to.be.below(6);
      }
      expect((await sharp(picture).metadata()).orientation).to.equal(undefined);
    }
  });

  it('removes EXIF, GPS, XMP and the colour profile', async () => {
    const exif = { IFD0: { Copyright: 'secret' }, IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 3230/100' } };
    const xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><secret/></x:xmpmeta>';
    const body = await waves(40, 30).withExif(exif).withXmp(xmp).withIccProfile('p3').jpeg().toBuffer();
    expect(Buffer.from(body).includes('secret')).to.equal(true);
    for (const format of FORMATS) {
      const { picture } = await resized(body, { scale_factor: 0.5, format });
      const metadata = await sharp(picture).metadata();
      expect(metadata, format).to.not.have.any.keys('exif', 'xmp', 'iptc', 'icc');
      expect(Buffer.from(picture).includes('secret')).to.equal(false);
    }
  });

  it('converts Display P3 pictures to sRGB, with 8 and with 16 bits', async () => {
    // Display P3 (200, 100, 50) is sRGB (215, 93, 32) by both definitions' primaries and the common transfer curve.
    const values = new Uint16Array(16 * 16 * 3).map((_, index) => 257 * ([200, 100, 50][index % 3] ?? 0));
    const raw = sharp(values, { raw: { width: 16, height: 16, channels: 3 } });
    const sixteen = await raw.toColourspace('rgb16').withIccProfile('p3').png().toBuffer();
    const source = sharp({ create: { width: 16, height: 16, channels: 3, background: '#d75d20' } });
    const eight = await source.withIccProfile('p3').png().toBuffer();
    for (const [depth, body] of Object.entries({ uchar: eight, ushort: sixteen })) {
      expect(await sharp(body).metadata()).to.include({ depth, hasProfile: true });
      const alone = await openPicture(body);
      const sharing = alone.sharing(await alone.decodeOnce(alone));
      for (const source of [alone, sharing]) {
        const { picture, ...facts } = drawn(await resize(source, half));
        expect(facts).to.include({ width: 8, height: 8 });
        expectNear(pixelAt(await decode(picture), 4, 4), [215, 93, 32], depth);
      }
    }
  });

  it('reads 16-bit, greyscale, palette and CMYK pictures in their right colours', async () => {
    const color = [200, 100, 50];
    const source = () => sharp({ create: { width: 16, height: 16, channels: 3, background: '#c86432' } });
    const bodies = {
      sixteen: await source().toColourspace('rgb16').png().toBuffer(),
      palette: await source().png({ palette: true }).toBuffer(),
      tiff: await source().toColourspace('rgb16').tiff({ compression: 'lzw' }).toBuffer(),
    };
    for (const [name, body] of Object.entries(bodies)) {
      expectNear(pixelAt(await decode((await resized(body, { scale_factor: 0.5 })).picture), 4, 4), color, name);
    }
    const grey = await source().grayscale().toColourspace('b-w').png().toBuffer();
    const [shade = 0] = pixelAt(await decode(grey), 4, 4);
    expectNear(pixelAt(await decode((await resized(grey, { scale_factor: 0.5 })).picture), 4, 4), [
      shade,
      shade,
      shade,
    ]);
    const muted = sharp({ create: { width: 16, height: 16, channels: 3, background: '#a08070' } });
    const cmyk = await muted.toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).to.equal('cmyk');
    expectNear(
      pixelAt(await decode((await resized(cmyk, { scale_factor: 0.5 })).picture), 4, 4),
      [160, 128, 112],
      'cmyk',
      8,
    );
  });

  it('keeps alpha if the format has it, otherwise flattens on white', async () => {
    const clear = { create: { width: 20, height: 20, channels: 4 as const, background: '#ff000080' } };
    const body = await sharp(clear).png().toBuffer();
    for (const format of ['png', 'webp', 'avif', 'tiff'] as const) {
      const found = pixelAt(await decode((await resized(body, { scale_factor: 0.5, format })).picture), 5, 5);
      expect(found[3], format).to.be.within(126, 130);
    }
    const flat = pixelAt(await decode((await resized(body, { scale_factor: 0.5, format: 'jpeg' })).picture), 5, 5);
    expectNear(flat, [255, 127, 127], 'jpeg');
    const hole = await sharp({ create: { ...clear.create, background: '#00000000' } })
      .gif()
      .toBuffer();
    const gif = await decode((await resized(hole, { scale_factor: 0.5 })).picture);
    expect(pixelAt(gif, 5, 5)[3]).to.equal(0);
  });

  it('does not mix the colour of transparent pixels into the edge', async () => {
    const pixels = new Uint8Array(40 * 40 * 4).map((_, index) => {
      const inside = (index >> 2) % 40 < 20;
      return (inside ? [255, 0, 0, 255] : [0, 255, 0, 0])[index % 4] ?? 0;
    });
    const body = await sharp(pixels, { raw: { width: 40, height: 40, channels: 4 } })
      .png()
      .toBuffer();
    const { picture } = await resized(body, { width: 13, height: 13, fit: 'fill' });
    const edge = await decode(picture);
    for (let x = 0; x < 13; x += 1) {
      const [, green = 0, , alpha = 0] = pixelAt(edge, x, 6);
      if (alpha > 0) expect(green).to.equal(0);
    }
  });

  it('crops to the centre with cover, and pads with contain: transparent, or white in jpeg', async () => {
    const body = await quarters(60, 20).png().toBuffer();
    const cover = await decode((await resized(body, { width: 20, height: 20, fit: 'cover' })).picture);
    expectNear(pixelAt(cover, 2, 2), [255, 0, 0]);
    expectNear(pixelAt(cover, 17, 2), [0, 255, 0]);
    const contained = { width: 60, height: 60, fit: 'contain' as const };
    const clear = await decode((await resized(body, contained)).picture);
    expect(pixelAt(clear, 30, 5)[3]).to.equal(0);
    expectNear(pixelAt(clear, 5, 25), [255, 0, 0, 255]);
    const white = await decode((await resized(body, { ...contained, format: 'jpeg' })).picture);
    expectNear(pixelAt(white, 30, 5), [255, 255, 255]);
  });

  it('crops a very long picture before it scales it, because libvips could not scale it whole', async () => {
    const body = await plain(16_000, 2, '#336699');
    const { picture, ...facts } = await resized(body, { width: 400, height: 400, fit: 'cover' });
    expect(facts).to.include({ width: 400, height: 400 });
    expectNear(pixelAt(await decode(picture), 200, 200), [51, 102, 153]);
  });

  it('writes one grey channel with grayscale', async () => {
    const body = await quarters(40, 40).png().toBuffer();
    for (const format of FORMATS) {
      const { picture } = await resized(body, { scale_factor: 0.5, format, grayscale: true });
      const [red = 0, green = 1, blue = 2] = pixelAt(await decode(picture), 3, 3);
      expect(Math.max(red, green, blue) - Math.min(red, green, blue), format).to.be.below(3);
      expect(red).to.be.within(40, 140);
    }
    const { picture } = await resized(body, { scale_factor: 0.5, grayscale: true });
    expect((await sharp(picture).metadata()).channels).to.equal(1);
  });

  it('writes fewer bytes with a lower quality in lossy formats, and ignores quality in png, gif and tiff', async () => {
    const body = await waves(160, 120).png().toBuffer();
    for (const format of FORMATS) {
      const [low, high] = await Promise.all(
        [10, 95].map(async (quality) => (await resized(body, { scale_factor: 0.5, format, quality })).picture),
      );
      if (['jpeg', 'webp', 'avif'].includes(format)) expect(low?.length, format).to.be.below(high?.length ?? 0);
      else expect(low, format).to.deep.equal(high);
    }
  });

  it('keeps an animation with its delays and loops in gif and webp', async () => {
    for (const from of ['gif', 'webp'] as const) {
      const body = await animation(from);
      for (const format of ['gif', 'webp'] as const) {
        const { picture, ...facts } = await resized(body, { scale_factor: 0.5, format });
        const metadata = await sharp(picture).metadata();
        expect(facts).to.include({ format, width: 15, height: 10, frames: 3 });
        expect(metadata).to.include({ pages: 3, loop: 3 });
        expect(metadata.delay).to.deep.equal([100, 150, 200]);
        const last = await decode(await sharp(picture, { page: 2 }).png().toBuffer());
        expectNear(pixelAt(last, 7, 5), [0, 0, 255], `${from} to ${format}`, 12);
      }
    }
  });

  it('crops and pads each frame of an animation', async () => {
    const body = await animation('gif');
    for (const fit of ['cover', 'contain'] as const) {
      const facts = await resized(body, { width: 16, height: 16, fit });
      expect(facts).to.include({ width: 16, height: 16, frames: 3 });
    }
  });

  it('turns each frame of an animation with an EXIF orientation', async () => {
    const plainAnimation = await animation('webp');
    const body = await sharp(plainAnimation, { animated: true }).withMetadata({ orientation: 6 }).webp().toBuffer();
    expect((await sharp(body).metadata()).orientation).to.equal(6);
    const { picture, ...facts } = await resized(body, { scale_factor: 0.5 });
    expect(facts).to.include({ width: 10, height: 15, frames: 3 });
    expect((await sharp(picture).metadata()).delay).to.deep.equal([100, 150, 200]);
  });

  it('uses the first frame of an animation for a still format', async () => {
    const { picture, ...facts } = await resized(await animation('gif'), { scale_factor: 0.5, format: 'png' });
    expect(facts).to.include({ format: 'png', width: 15, height: 10, frames: 1 });
    expectNear(pixelAt(await decode(picture), 5, 5).slice(0, 3), [255, 0, 0]);
  });

  it('refuses a webp output above the longest side of WebP', async () => {
    const body = await plain(16_384, 1, '#336699');
    await resized(body, { scale_factor: 1, format: 'webp' }).then(
      () => expect.fail('Expected a refusal'),
      (error: unknown) => expect(error).to.include({ code: 'IMAGE_TOO_LARGE' }),
    );
  });

  it('reads the real photographs with the right size and similar colours', async function () {
    this.timeout(180_000);
    const photos = join(requireShared(this), 'photos');
    const read = (file: string) => readFileSync(join(photos, file));
    const mug = await resized(read('coffee-mug.jpg'), { width: 200 });
    expect(mug).to.include({ width: 200, height: 150 });
    const turned = await resized(read('coffee-mug-exif6.jpg'), { width: 200 });
    expect(turned).to.include({ width: 200 });
    const [cmyk, rgb] = await Promise.all(
      ['espresso-cmyk.jpg', 'espresso.png'].map(async (file) => {
        const { picture } = await resized(read(file), { width: 60, format: 'png' });
        return decode(picture);
      }),
    );
    if (cmyk === undefined || rgb === undefined) throw new Error('Expected two pictures');
    expect(meanDifference(cmyk, rgb)).to.be.below(12);
  });
});

/** The quarters as a camera with this orientation stores them (CIPA DC-008, tag 0x0112): the inverse turn. */
async function sideways(orientation: number): Promise<Sharp> {
  const upright = await decode(await quarters(32, 24).png().toBuffer());
  const { width, height } = upright;
  const lying = orientation >= 5;
  const stored = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [right, below] = [width - 1 - x, height - 1 - y];
      const places = [
        [x, y],
        [right, y],
        [right, below],
        [x, below],
        [y, x],
        [y, right],
        [below, right],
        [below, x],
      ];
      const [column = 0, row = 0] = places[orientation - 1] ?? [];
      stored.set(pixelAt(upright, x, y), (row * (lying ? height : width) + column) * 3);
    }
  }
  const size = lying ? { width: height, height: width } : { width, height };
  return sharp(stored, { raw: { ...size, channels: 3 } });
}
