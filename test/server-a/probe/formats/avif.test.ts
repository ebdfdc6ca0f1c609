import { expect } from 'chai';
import sharp from 'sharp';
import { big, box, bytes, fullBox } from '../../../support/hand-made.ts';
import { expectAgreement, probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

const FTYP = box('ftyp', 'avif', big(0, 4), 'mif1', 'avif', 'miaf');
const HDLR = fullBox('hdlr', big(0, 4), 'pict', Buffer.alloc(13));

/** AV1 data of a picture of 64 × 48 pixels, with its codec configuration, from an AVIF that sharp made. */
interface Tile {
  readonly data: Buffer;
  readonly av1C: Buffer;
}

interface Item {
  readonly type: 'av01' | 'grid';
  readonly data: Buffer;
  readonly properties: readonly Buffer[];
}

async function makeTile(bitdepth: 8 | 10 | 12): Promise<Tile> {
  const picture = sharp({ create: { width: 64, height: 48, channels: 3, background: 'teal' } });
  const file = await picture.avif({ bitdepth }).toBuffer();
  return { data: contentOf(file, 'mdat'), av1C: bytes(big(12, 4), 'av1C', contentOf(file, 'av1C').subarray(0, 4)) };
}

function contentOf(file: Buffer, type: string): Buffer {
  const name = file.indexOf(type, 0, 'latin1');
  return file.subarray(name + 4, name - 4 + file.readUInt32BE(name - 4));
}

function ispe(width: number, height: number): Buffer {
  return fullBox('ispe', big(width, 4), big(height, 4));
}

function clap(width: number, height: number): Buffer {
  const fraction = (value: number) => bytes(big(value, 4), big(1, 4));
  return box('clap', fraction(width), fraction(height), fraction(0), fraction(0));
}

const pixi = (bits: number) => fullBox('pixi', 3, bits, bits, bits);

/** An AVIF with `items`, numbered from 1, of which the first is primary, and with `references` between them. */
function avif(items: readonly Item[], references: readonly Buffer[] = []): Buffer {
  const properties = items.flatMap((item) => item.properties);
  let next = 1;
  const associations = items.map((item, index) => {
    const numbers = item.properties.map(() => 0x80 | next++);
    return bytes(big(index + 1, 2), numbers.length, ...numbers);
  });
  const entries = items.map((item, index) => infe(index + 1, item.type));
  const meta = (start: number) =>
    fullBox(
      'meta',
      HDLR,
      fullBox('pitm', big(1, 2)),
      fullBox('iinf', big(items.length, 2), ...entries),
      references.length > 0 ? fullBox('iref', ...references) : '',
      box('iprp', box('ipco', ...properties), fullBox('ipma', big(items.length, 4), ...associations)),
      iloc(items, start),
    );
  const start = FTYP.length + meta(0).length + 8;
  return bytes(FTYP, meta(start), box('mdat', ...items.map((item) => item.data)));
}

function infe(id: number, type: string): Buffer {
  return box('infe', 2, 0, 0, 0, big(id, 2), big(0, 2), type, 0);
}

function iloc(items: readonly Item[], start: number): Buffer {
  let offset = start;
  const locations = items.map((item, index) => {
    const location = bytes(big(index + 1, 2), big(0, 2), big(1, 2), big(offset, 4), big(item.data.length, 4));
    offset += item.data.length;
    return location;
  });
  return fullBox('iloc', 0x44, 0, big(items.length, 2), ...locations);
}

function reference(type: string, from: number, ...to: readonly number[]): Buffer {
  return box(type, big(from, 2), big(to.length, 2), ...to.map((id) => big(id, 2)));
}

describe('probe of AVIF', () => {
  let tile: Tile;
  let single: Item;
  before(async () => {
    tile = await makeTile(8);
    single = { type: 'av01', data: tile.data, properties: [ispe(64, 48), pixi(8), tile.av1C] };
  });

  const turned = (...transformations: readonly Buffer[]) =>
    avif([{ ...single, properties: [...single.properties, ...transformations] }]);

  it('reads the primary item', async () => {
    expect(await expectAgreement(avif([single]))).to.include({ width: 64, height: 48, channels: 3, depth: 8 });
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

  it('refuses a clean aperture that hides more than half of the decoded pixels', async () => {
    const message = await expectRefusal(turned(clap(10, 10)), 'UNSUPPORTED_IMAGE');
    expect(message).to.equal("Expected at least half of 64×48 pixels for the AVIF's clean aperture, received '10×10'");
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
      const { data, av1C } = await makeTile(bitdepth);
      const part: Item = { type: 'av01', data, properties: [ispe(64, 48), pixi(bitdepth), av1C] };
      const layout = bytes(0, 0, 0, 1, big(128, 2), big(48, 2));
      const grid: Item = { type: 'grid', data: layout, properties: [ispe(128, 48), pixi(bitdepth)] };
      const file = avif([grid, part, part], [reference('dimg', 1, 2, 3)]);
      expect(await expectAgreement(file)).to.include({ width: 128, height: 48, depth, channels: 3 });
    }
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
    expect(await expectAgreement(avif([single, alpha], [reference('auxl', 2, 1)]))).to.include({ alpha: true });
    expect(await expectAgreement(avif([single, depth], [reference('auxl', 2, 1)]))).to.include({ alpha: false });
    expect(
      await expectAgreement(avif([single, depth, alpha], [reference('auxl', 2, 1), reference('auxl', 3, 1)])),
    ).to.include({ alpha: true });
  });

  it("reads an AVIF with HEIF's general brand", async () => {
    const file = avif([single]);
    file.write('mif1', 8, 'latin1');
    expect(await expectAgreement(file)).to.include({ format: 'avif', width: 64 });
  });

  it('reads boxes with a 64-bit length, and boxes that reach to the end', async () => {
    const content = avif([single]).subarray(FTYP.length + 8);
    const meta = content.subarray(0, content.indexOf('mdat', 0, 'latin1') - 4);
    const long = bytes(FTYP, big(1, 4), 'meta', big(0, 4), big(meta.length + 16, 4), meta);
    const open = bytes(FTYP, big(0, 4), 'meta', meta);
    expect(await probeBytes(long)).to.include({ width: 64, height: 48 });
    expect(await probeBytes(open)).to.include({ width: 64, height: 48 });
  });

  it('refuses missing boxes, sizes of zero, invalid crops, and lengths out of bounds', async () => {
    const file = avif([single]);
    for (const type of ['meta', 'pitm', 'iprp', 'ipco', 'ipma', 'ispe']) {
      const broken = Buffer.from(file);
      broken.write('free', broken.indexOf(type, 0, 'latin1'), 'latin1');
      await expectRefusal(broken, 'IMAGE_CORRUPT');
    }
    for (const length of [2, 7, 0x7fff_ffff]) {
      const broken = Buffer.from(file);
      broken.writeUInt32BE(length, FTYP.length);
      await expectRefusal(broken, 'IMAGE_CORRUPT');
    }
    await expectRefusal(avif([{ ...single, properties: [ispe(0, 48), tile.av1C] }]), 'IMAGE_CORRUPT');
    await expectRefusal(turned(clap(65, 20)), 'IMAGE_CORRUPT');
    await expectRefusal(turned(clap(0, 20)), 'IMAGE_CORRUPT');
  });

  it('refuses too many boxes, items and references', async () => {
    const empty = box('free');
    const boxes = bytes(FTYP, Buffer.alloc(8 * 20_000, empty));
    expect(await expectRefusal(boxes, 'IMAGE_CORRUPT')).to.match(/at most 10000 boxes/);
    const many = avif([single]);
    many.writeUInt32BE(0xffff_ffff, many.indexOf('ipma', 0, 'latin1') + 8);
    expect(await expectRefusal(many, 'IMAGE_CORRUPT')).to.match(/at most 10000 items/);
    const references = Array.from({ length: 11_000 }, (_, index) => index);
    const looped = avif([single], [reference('auxl', 2, ...references.map(() => 3))]);
    expect(await expectRefusal(looped, 'IMAGE_CORRUPT')).to.match(/at most 10000 references/);
  });
});
