import { expect } from 'chai';
import sharp from 'sharp';
import { bytes, type Field, little, tiff, tiffPicture } from '../../../support/hand-made.ts';
import { expectAgreement, probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

const ramp = Array.from({ length: 256 }, (_, index) => index * 257);
const bits = (...values: number[]): Field => [258, 3, ...values];
const photometric = (value: number): Field => [262, 3, value];
const samples = (value: number): Field => [277, 3, value];
const format = (...values: number[]): Field => [339, 3, ...values];

describe('probe of TIFF', () => {
  const readable: Readonly<Record<string, readonly Field[]>> = {
    '8-bit grey': [bits(8)],
    'one-bit grey without explicit fields': [],
    '1-bit white-is-zero': [bits(1), photometric(0)],
    '2-bit grey': [bits(2)],
    '4-bit grey': [bits(4)],
    '16-bit grey': [bits(16)],
    '32-bit grey': [bits(32)],
    'signed grey': [bits(8), format(2)],
    'grey of unspecified format': [bits(8), format(4)],
    'half-float grey': [bits(16), format(3)],
    'float grey with alpha': [bits(32, 32), samples(2), format(3, 3)],
    'grey with two extra channels': [bits(8, 8, 8), samples(3)],
    'float RGB': [bits(32, 32, 32), samples(3), photometric(2), format(3, 3, 3)],
    '16-bit RGB in planes': [bits(16, 16, 16), samples(3), photometric(2), [284, 3, 2]],
    'RGB with two extra channels': [bits(8, 8, 8, 8, 8), samples(5), photometric(2), [338, 3, 0, 0]],
    CMYK: [bits(8, 8, 8, 8), samples(4), photometric(5)],
    'CMYK with alpha': [bits(8, 8, 8, 8, 8), samples(5), photometric(5)],
    'YCbCr at full resolution': [bits(8, 8, 8), samples(3), photometric(6), [530, 3, 1, 1]],
    'YCbCr subsampled': [bits(8, 8, 8), samples(3), photometric(6), [530, 3, 2, 2]],
    'YCbCr of the default resolution': [bits(8, 8, 8), samples(3), photometric(6)],
    'CIELAB with alpha': [bits(8, 8, 8, 8), samples(4), photometric(8)],
    '16-bit CIELAB': [bits(16, 16, 16), samples(3), photometric(8)],
    LogLuv: [bits(32, 32, 32), samples(3), photometric(32_845), [259, 3, 34_676]],
    'a coloured palette': [bits(8), photometric(3), [320, 3, ...ramp, ...ramp, ...ramp.toReversed()]],
    'a grey palette': [bits(8), photometric(3), [320, 3, ...ramp, ...ramp, ...ramp]],
    'a coloured 4-bit palette with alpha': [bits(4, 4), samples(2), photometric(3), [320, 3, ...Array(48).keys()]],
    '32-bit sides': [bits(8), [256, 4, 40], [257, 4, 20]],
    'orientation 6': [bits(8), [274, 3, 6]],
    'orientation 0': [bits(8), [274, 3, 0]],
    'orientation 9': [bits(8), [274, 3, 9]],
  };
  for (const [name, fields] of Object.entries(readable)) {
    it(`agrees with sharp on ${name} in both byte orders`, async () => {
      await expectAgreement(tiffPicture(fields, 'II'));
      await expectAgreement(tiffPicture(fields, 'MM'));
    });
  }

  it('counts a planar picture as progressive, because its decoder may hold a whole plane', async () => {
    const rgb = [bits(8, 8, 8), samples(3), photometric(2)];
    expect(await probeBytes(tiffPicture([...rgb, [284, 3, 2]]))).to.include({ progressive: true });
    expect(await probeBytes(tiffPicture([...rgb, [284, 3, 1]]))).to.include({ progressive: false });
  });

  const undecodable: Readonly<Record<string, readonly Field[]>> = {
    '12 bits': [bits(12)],
    '64 bits': [bits(64), format(3)],
    'RGB of 4 bits': [bits(4, 4, 4), samples(3), photometric(2)],
    '1-bit grey of two samples': [bits(1, 1), samples(2)],
    'six channels': [bits(8, 8, 8, 8, 8, 8), samples(6), photometric(2)],
    'complex numbers': [bits(32), format(5)],
    'CIELAB of three bytes': [bits(8, 8, 8), samples(3), photometric(8)],
    'inks other than CMYK': [bits(8, 8, 8, 8), samples(4), photometric(5), [332, 3, 2]],
    'RGB of two samples': [bits(8, 8), samples(2), photometric(2)],
    'a colour filter array': [bits(8), photometric(32_803)],
    'a transparency mask': [bits(1), photometric(4)],
  };
  for (const [name, fields] of Object.entries(undecodable)) {
    it(`refuses ${name}, which sharp does not decode`, async () => {
      const file = tiffPicture(fields);
      await expectRefusal(file, 'UNSUPPORTED_IMAGE');
      const decoded = await sharp(file)
        .resize(8)
        .png()
        .toBuffer()
        .catch((error: unknown) => error);
      expect(decoded).to.be.instanceOf(Error);
    });
  }

  it('reads BigTIFF, tiles, pyramids and JPEG inside', async () => {
    const picture = sharp({ create: { width: 400, height: 200, channels: 4, background: 'teal' } });
    for (const options of [
      { bigtiff: true, compression: 'none' },
      { bigtiff: true, compression: 'lzw', tile: true, pyramid: true },
      { compression: 'jpeg' },
      { compression: 'webp' },
    ] as const) {
      expect(await expectAgreement(await picture.clone().tiff(options).toBuffer())).to.include({ width: 400 });
    }
  });

  it('reads the first of several pages', async () => {
    const file = tiffPicture([bits(8)]);
    const nextDirectory = 8 + 2 + 12 * file.readUInt16LE(8);
    file.writeUInt32LE(8, nextDirectory);
    expect(await probeBytes(file)).to.include({ frames: 1, width: 40 });
  });

  it('refuses directories that lack a field or point outside the file', async () => {
    const all: Field[] = [[256, 3, 40], [257, 3, 20], bits(8), photometric(1)];
    expect(await probeBytes(tiff(all))).to.include({ width: 40, height: 20 });
    for (const missing of [256, 257, 262]) {
      await expectRefusal(tiff(all.filter(([tag]) => tag !== missing)), 'IMAGE_CORRUPT');
    }
    const far = tiffPicture([bits(8)]);
    far.writeUInt32LE(0xffff_fff0, 4);
    await expectRefusal(far, 'IMAGE_CORRUPT');
    await expectRefusal(tiffPicture([bits(8), photometric(3)]), 'IMAGE_CORRUPT');
    await expectRefusal(tiffPicture([bits(8), [256, 3, 0]]), 'IMAGE_CORRUPT');
    await expectRefusal(bytes('II', little(42, 2), little(8, 4), little(65_535, 2)), 'IMAGE_CORRUPT');
    const endless = bytes('II', little(43, 2), little(8, 2), little(0, 2), little(16, 4), little(0, 4));
    await expectRefusal(bytes(endless, Buffer.alloc(8, 0xff), Buffer.alloc(100)), 'IMAGE_CORRUPT');
  });
});
