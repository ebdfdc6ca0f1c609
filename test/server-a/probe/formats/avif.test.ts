import { expect } from 'chai';
import sharp from 'sharp';
import { big, box, bytes, fullBox } from '../../../support/hand-made.ts';
import {
  clap,
  fileType,
  heif,
  type Item,
  ispe,
  makeTile,
  pixi,
  reference,
  type Tile,
} from '../../../support/heif-file.ts';
import { expectAgreement, probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

const AVIF = fileType('avif', 'mif1', 'avif', 'miaf');

describe('probe of AVIF', () => {
  let tile: Tile;
  let single: Item;
  before(async () => {
    tile = await makeTile(8);
    single = { type: 'av01', data: tile.data, properties: [ispe(64, 48), pixi(8), tile.configuration] };
  });

  const turned = (...transformations: readonly Buffer[]) =>
    heif([{ ...single, properties: [...single.properties, ...transformations] }]);

  it('reads the primary item', async () => {
    expect(await expectAgreement(heif([single]))).to.include({ width: 64, height: 48, channels: 3, depth: 8 });
  });

  it('agrees with sharp on rotation and mirroring, and reports orientation 1', async () => {
    for (const quarters of [0, 1, 2, 3]) {
      for (const mirror of [[], [box('imir', 0)], [box('imir', 1)]]) {
        const header = await expectAgreement(turned(box('irot', quarters), ...mirror));
        expect(header).to.include({ width: quarters % 2 ? 48 : 64, orientation: 1 });
      }
    }
  });

  it('agrees with sharp on a clean aperture, before and after a rotation', async () => {
    expect(await expectAgreement(turned(clap(60, 40)))).to.include({ width: 60, height: 40 });
    expect(await expectAgreement(turned(clap(60, 40), box('irot', 1)))).to.include({ width: 40, height: 60 });
  });

  it('counts the pixels outside of a clean aperture, because they are decoded', async () => {
    const file = turned(clap(10, 10));
    expect(await expectAgreement(file)).to.include({ width: 10, height: 10, codedPixels: 64 * 48 });
  });

  it('agrees with sharp on all EXIF orientations, which sharp writes as transformations', async () => {
    const picture = sharp({ create: { width: 64, height: 48, channels: 3, background: 'teal' } });
    for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
      await expectAgreement(await picture.clone().withMetadata({ orientation }).avif().toBuffer());
    }
  });

  it('reads the size of a grid, and the depth of its tiles', async () => {
    for (const [bitdepth, depth] of [
      [8, 8],
      [10, 16],
    ] as const) {
      const { data, configuration } = await makeTile(bitdepth);
      const part: Item = { type: 'av01', data, properties: [ispe(64, 48), pixi(bitdepth), configuration] };
      const layout = bytes(0, 0, 0, 1, big(128, 2), big(48, 2));
      const grid: Item = { type: 'grid', data: layout, properties: [ispe(128, 48), pixi(bitdepth)] };
      const file = heif([grid, part, part], [reference('dimg', 1, 2, 3)]);
      expect(await expectAgreement(file)).to.include({ width: 128, height: 48, depth, channels: 3 });
    }
  });

  it('refuses a grid that is cut, whose missing tile libheif would leave black', async () => {
    const part: Item = { type: 'av01', data: tile.data, properties: [ispe(64, 48), tile.configuration] };
    const grid: Item = { type: 'grid', data: bytes(0, 0, 0, 1, big(128, 2), big(48, 2)), properties: [ispe(128, 48)] };
    const file = heif([grid, part, part], [reference('dimg', 1, 2, 3)]);
    const message = await expectRefusal(file.subarray(0, -1), 'IMAGE_CORRUPT');
    expect(message).to.match(new RegExp(`a file of at least ${file.length} bytes for the picture data`));
    // Data that the primary item does not need may be missing.
    expect(await probeBytes(heif([part, grid]).subarray(0, -1))).to.include({ width: 64 });
  });

  it('reads 10 and 12 bits, alpha, and grey (3 channels, because it is decoded to RGB)', async () => {
    const picture = sharp({
      create: { width: 40, height: 20, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0.5 } },
    });
    for (const bitdepth of [8, 10, 12] as const) {
      expect(await expectAgreement(await picture.clone().avif({ bitdepth }).toBuffer())).to.include({ alpha: true });
      const opaque = await picture.clone().removeAlpha().avif({ bitdepth }).toBuffer();
      expect(await expectAgreement(opaque)).to.include({ alpha: false, depth: bitdepth === 8 ? 8 : 16 });
    }
    const grey = await picture.clone().removeAlpha().toColourspace('b-w').avif().toBuffer();
    expect(await expectAgreement(grey)).to.include({ channels: 3 });
  });

  it('counts an auxiliary picture as alpha only when its type is alpha', async () => {
    const auxiliary = (type: string): Item => ({
      ...single,
      properties: [...single.properties, fullBox('auxC', type, 0)],
    });
    const alpha = auxiliary('urn:mpeg:mpegB:cicp:systems:auxiliary:alpha');
    const depth = auxiliary('urn:mpeg:mpegB:cicp:systems:auxiliary:depth');
    expect(await expectAgreement(heif([single, alpha], [reference('auxl', 2, 1)]))).to.include({ alpha: true });
    expect(await expectAgreement(heif([single, depth], [reference('auxl', 2, 1)]))).to.include({ alpha: false });
    expect(
      await expectAgreement(heif([single, depth, alpha], [reference('auxl', 2, 1), reference('auxl', 3, 1)])),
    ).to.include({ alpha: true });
  });

  it("reads an AVIF with HEIF's general brand", async () => {
    const file = heif([single]);
    file.write('mif1', 8, 'latin1');
    expect(await expectAgreement(file)).to.include({ format: 'avif', width: 64 });
  });

  it('reads boxes with a 64-bit length, and boxes that reach to the end', async () => {
    const content = heif([single]).subarray(AVIF.length + 8);
    const meta = content.subarray(0, content.indexOf('mdat', 0, 'latin1') - 4);
    const data = box('free', single.data, single.data);
    const long = bytes(AVIF, big(1, 4), 'meta', big(0, 4), big(meta.length + 16, 4), meta, data);
    const open = bytes(AVIF, big(0, 4), 'meta', meta, data);
    expect(await probeBytes(long)).to.include({ width: 64, height: 48 });
    expect(await probeBytes(open)).to.include({ width: 64, height: 48 });
  });

  it('refuses missing boxes, sizes of zero, invalid crops, and lengths out of bounds', async () => {
    const file = heif([single]);
    for (const type of ['meta', 'pitm', 'iprp', 'ipco', 'ipma', 'ispe']) {
      const broken = Buffer.from(file);
      broken.write('free', broken.indexOf(type, 0, 'latin1'), 'latin1');
      await expectRefusal(broken, 'IMAGE_CORRUPT');
    }
    for (const length of [2, 7, 0x7fff_ffff]) {
      const broken = Buffer.from(file);
      broken.writeUInt32BE(length, AVIF.length);
      await expectRefusal(broken, 'IMAGE_CORRUPT');
    }
    await expectRefusal(heif([{ ...single, properties: [ispe(0, 48), tile.configuration] }]), 'IMAGE_CORRUPT');
    await expectRefusal(turned(clap(65, 20)), 'IMAGE_CORRUPT');
    await expectRefusal(turned(clap(0, 20)), 'IMAGE_CORRUPT');
  });

  it('refuses too many boxes, items and references', async () => {
    const empty = box('free');
    const boxes = bytes(AVIF, Buffer.alloc(8 * 20_000, empty));
    expect(await expectRefusal(boxes, 'IMAGE_CORRUPT')).to.match(/at most 10000 boxes/);
    const many = heif([single]);
    many.writeUInt32BE(0xffff_ffff, many.indexOf('ipma', 0, 'latin1') + 8);
    expect(await expectRefusal(many, 'IMAGE_CORRUPT')).to.match(/at most 10000 items/);
    const references = Array.from({ length: 11_000 }, (_, index) => index);
    const looped = heif([single], [reference('auxl', 2, ...references.map(() => 3))]);
    expect(await expectRefusal(looped, 'IMAGE_CORRUPT')).to.match(/at most 10000 references/);
  });
});
