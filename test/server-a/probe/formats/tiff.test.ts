import { expect } from 'chai';
import sharp from 'sharp';
import { bytes, type Field, little, tiff, tiffPicture } from '../../../support/hand-made.ts';
import { type TiffPage, tiffOf } from '../../../support/hand-made-tiff.ts';
import { expectAgreement, probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

const ramp = Array.from({ length: 256 }, (_, index) => index * 257);
const bits = (...values: number[]): Field => [258, 3, ...values];
const photometric = (value: number): Field => [262, 3, value];
const samples = (value: number): Field => [277, 3, value];
const format = (...values: number[]): Field => [339, 3, ...values];
const compression = (value: number): Field => [259, 3, value];
const extras = (...values: number[]): Field => [338, 3, ...values];

describe('probe of TIFF', () => {
  const readable: Readonly<Record<string, readonly Field[]>> = {
    '8-bit grey': [bits(8)],
    'one-bit grey without explicit fields': [],
    '1-bit white-is-zero': [bits(1), photometric(0)],
    '2-bit grey': [bits(2)],
    '4-bit grey': [bits(4)],
    '16-bit grey': [bits(16)],
    'grey of unspecified format': [bits(8), format(4)],
    'grey with two extra channels': [bits(8, 8, 8), samples(3)],
    '16-bit RGB in planes': [bits(16, 16, 16), samples(3), photometric(2), [284, 3, 2]],
    'RGB with two extra channels': [bits(8, 8, 8, 8, 8), samples(5), photometric(2), [338, 3, 0, 0]],
    CMYK: [bits(8, 8, 8, 8), samples(4), photometric(5)],
    'CMYK with alpha': [bits(8, 8, 8, 8, 8), samples(5), photometric(5), extras(2)],
    'grey with alpha': [bits(8, 8), samples(2), extras(2)],
    'RGB with premultiplied alpha': [bits(8, 8, 8, 8), samples(4), photometric(2), extras(1)],
    'RGB with a fourth channel of no meaning': [bits(8, 8, 8, 8), samples(4), photometric(2), extras(0)],
    'RGB with a fourth channel that no tag describes': [bits(8, 8, 8, 8), samples(4), photometric(2)],
    'RGB with 20 extra channels': [
      bits(...Array(23).fill(8)),
      samples(23),
      photometric(2),
      extras(...Array(20).fill(0)),
    ],
    'JPEG inside': [bits(8), [259, 3, 7]],
    'YCbCr in JPEG at full resolution': [bits(8, 8, 8), samples(3), photometric(6), [530, 3, 1, 1], [259, 3, 7]],
    'YCbCr subsampled': [bits(8, 8, 8), samples(3), photometric(6), [530, 3, 2, 2]],
    'YCbCr of the default resolution': [bits(8, 8, 8), samples(3), photometric(6)],
    '16-bit CIELAB': [bits(16, 16, 16), samples(3), photometric(8)],
    'a coloured palette': [bits(8), photometric(3), [320, 3, ...ramp, ...ramp, ...ramp.toReversed()]],
    'a coloured palette with alpha': [
      bits(8, 8),
      samples(2),
      photometric(3),
      [320, 3, ...ramp, ...ramp, ...ramp.toReversed()],
      extras(2),
    ],
    'a grey palette': [bits(8), photometric(3), [320, 3, ...ramp, ...ramp, ...ramp]],
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

  const refused: Readonly<Record<string, readonly [fields: readonly Field[], received: string]>> = {
    'old-style JPEG': [[bits(8, 8, 8), samples(3), photometric(6), compression(6)], 'old-style JPEG'],
    LZMA: [[bits(8), compression(34_925)], 'LZMA'],
    ZSTD: [[bits(8), compression(50_000)], 'ZSTD'],
    'JPEG 2000': [[bits(8), compression(34_712)], 'JPEG 2000'],
    'JPEG XL': [[bits(8), compression(50_002)], 'JPEG XL'],
    LERC: [[bits(8), compression(34_887)], 'LERC'],
    JBIG: [[compression(34_661)], 'JBIG'],
    PixarLog: [[bits(8), compression(32_909)], 'PixarLog'],
    'a compression that nobody knows': [[bits(8), compression(12_345)], 'compression 12345'],
    'CCITT of 8 bits': [[bits(8), compression(4)], '1 × 8 bits'],
    'WebP of grey': [[bits(8), compression(50_001)], '1 samples'],
    '12-bit JPEG': [[bits(12), compression(7)], '12-bit unsigned samples'],
    '16-bit JPEG': [[bits(16), compression(7)], '16 bits'],
    'a predictor for floating point': [[bits(8), compression(5), [317, 3, 3]], 'predictor 3 of 8 bits'],
    '12 bits': [[bits(12)], '12-bit unsigned samples'],
    '32-bit whole numbers': [[bits(32)], '32-bit unsigned samples'],
    'signed bytes': [[bits(8), format(2)], '8-bit signed samples'],
    'signed 16 bits': [[bits(16, 16, 16), samples(3), photometric(2), format(2, 2, 2)], '16-bit signed samples'],
    'half floats': [[bits(16), format(3)], '16-bit floating-point samples'],
    floats: [[bits(32, 32, 32), samples(3), photometric(2), format(3, 3, 3)], '32-bit floating-point samples'],
    doubles: [[bits(64), format(3)], '64-bit floating-point samples'],
    'complex numbers': [[bits(64), format(6)], '64-bit complex samples'],
    'channels of different bits': [[bits(5, 6, 5), samples(3), photometric(2)], 'samples of different bits or formats'],
    'RGB of 4 bits': [[bits(4, 4, 4), samples(3), photometric(2)], '4-bit unsigned samples'],
    '1-bit grey of two samples': [[bits(1, 1), samples(2)], '1-bit unsigned samples'],
    'RGB of two samples': [[bits(8, 8), samples(2), photometric(2)], 'RGB of 2 samples'],
    'a hundred channels': [[bits(8), samples(100)], '100'],
    'a transparency mask': [[bits(8), photometric(4)], 'a transparency mask of 1 samples'],
    'inks other than CMYK': [[bits(8, 8, 8, 8), samples(4), photometric(5), [332, 3, 2]], '2'],
    '16-bit CMYK with alpha': [[bits(16, 16, 16, 16, 16), samples(5), photometric(5), extras(2)], '16 bits'],
    'CIELAB of 8 bits': [[bits(8, 8, 8), samples(3), photometric(8)], '8 bits'],
    'CIELAB with alpha': [[bits(16, 16, 16, 16), samples(4), photometric(8), extras(2)], '4'],
    'ICC Lab': [[bits(8, 8, 8), samples(3), photometric(9)], 'ICC Lab of 3 samples'],
    LogLuv: [[bits(16, 16, 16), samples(3), photometric(32_845)], 'LogLuv of 3 samples'],
    'uncompressed YCbCr at full resolution': [
      [bits(8, 8, 8), samples(3), photometric(6), [530, 3, 1, 1]],
      'YCbCr of 8 bits at full resolution',
    ],
    'grey and alpha in planes': [[bits(8, 8), samples(2), [284, 3, 2]], '2 × 8 bits of another colour space'],
    'planes in tiles': [[bits(8, 8, 8), samples(3), photometric(2), [284, 3, 2], [322, 3, 16]], 'tiles'],
    'a premultiplied palette': [
      [bits(8, 8), samples(2), photometric(3), [320, 3, ...ramp, ...ramp, ...ramp], extras(1)],
      'premultiplied alpha',
    ],
  };
  for (const [name, [fields, received]] of Object.entries(refused)) {
    it(`refuses ${name}, and says so`, async () => {
      const message = await expectRefusal(tiffPicture(fields), 'UNSUPPORTED_IMAGE');
      expect(message.replaceAll("'", '')).to.match(new RegExp(`received ${received}$`));
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

  const grey = (width: number, fields: readonly Field[] = []): TiffPage => {
    return { width, height: 8, samples: new Uint8Array(8 * width), photometric: 1, fields };
  };
  const thumbnail = grey(4, [[254, 4, 1]]);

  it('reads the first of several pages, and counts them', async () => {
    expect(await probeBytes(tiffOf(grey(12)))).to.not.have.any.keys('page', 'pages', 'subifd');
    const header = await probeBytes(tiffOf(grey(12), grey(16), grey(20)));
    expect(header).to.include({ width: 12, frames: 1, pages: 3 }).and.not.have.any.keys('page', 'subifd');
  });

  it('reads the first full page where thumbnails and masks stand before it, and does not count those', async () => {
    const older = grey(4, [[255, 3, 2]]);
    const mask = grey(4, [[254, 4, 4]]);
    for (const small of [thumbnail, older, mask]) {
      const file = tiffOf(small, grey(12), small, grey(16));
      expect(await expectAgreement(file)).to.include({ width: 12 });
      expect(await probeBytes(file)).to.include({ page: 1, pages: 2 });
    }
  });

  it('reads the first full SubIFD of a thumbnail without a full page, and the largest picture if all are reduced', async () => {
    const inside = tiffOf({ ...thumbnail, subifds: [thumbnail, grey(12), grey(16)] });
    expect(await expectAgreement(inside)).to.include({ width: 12 });
    expect(await probeBytes(inside))
      .to.include({ subifd: 1 })
      .and.not.have.any.keys('page', 'pages');
    expect(await probeBytes(tiffOf({ ...grey(20), subifds: [grey(40)] }))).to.include({ width: 20 });
    expect(await probeBytes(tiffOf(thumbnail, grey(12, [[254, 4, 1]]), thumbnail))).to.include({ width: 12, page: 1 });
    expect(await probeBytes(tiffOf(thumbnail))).to.include({ width: 4 });
  });

  it('refuses camera RAW, wherever the sensor data is', async () => {
    const sensor = grey(12, [[262, 3, 32_803]]);
    const linear = { ...grey(12, [[262, 3, 34_892]]), samples: new Uint8Array(3 * 8 * 12) };
    const marked = (mark: string) =>
      bytes('II*\0', little(16, 4), mark, Buffer.alloc(8 - mark.length), Buffer.alloc(99));
    for (const file of [
      tiffOf(sensor),
      tiffOf(thumbnail, linear),
      tiffOf({ ...thumbnail, subifds: [thumbnail, sensor] }),
      tiffOf({ ...grey(4), subifds: [sensor] }),
      marked('CR\x02\0'),
      marked('IIII'),
    ]) {
      expect(await expectRefusal(file, 'UNSUPPORTED_IMAGE')).to.match(/received 'camera RAW'$/);
    }
  });

  it('ends at a chain that returns to itself or leads out of the file, and refuses one without end', async () => {
    const file = tiffOf(grey(12), grey(16));
    const [first, second] = [file.readUInt32LE(4), file.readUInt32LE(file.readUInt32LE(4) + 2 + 12 * 9)];
    const link = second + 2 + 12 * file.readUInt16LE(second);
    for (const target of [first, second, 0xffff_fff0]) {
      file.writeUInt32LE(target, link);
      expect(await probeBytes(file)).to.include({ width: 12 });
    }
    const directories = Array.from({ length: 20_000 }, (_, index) =>
      bytes(little(0, 2), little(8 + 6 * (index + 1), 4)),
    );
    const endless = bytes('II*\0', little(8, 4), ...directories);
    expect(await expectRefusal(endless, 'IMAGE_TOO_LARGE')).to.include('at most 4096 pages');
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
