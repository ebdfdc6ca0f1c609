import { expect } from 'chai';
import sharp from 'sharp';
import { probe } from '../../../../server-a/probe/probe.ts';
import { big, bytes, exif, frameHeader, scanHeader, segment, withSegments } from '../../../support/hand-made.ts';
import { expectAgreement, Memory, probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

const APP1 = 0xe1;
const APP2 = 0xe2;
/** Frame headers that libjpeg does not decode. */
const undecodable = [0xc5, 0xc6, 0xc7, 0xcb, 0xcd, 0xce, 0xcf];

/** A grey baseline JPEG of 16 × 16 pixels with three components. `scans` lists the components of each scan. */
function baseline(scans: readonly (readonly number[])[]): Buffer {
  const quantization = segment(0xdb, bytes(0), Buffer.alloc(64, 1));
  const components = [1, 2, 3].map((id) => bytes(id, 0x11, 0));
  const frame = segment(0xc0, bytes(8, 0, 16, 0, 16, 3), ...components);
  const oneCode = (table: number) => segment(0xc4, bytes(table, 1), Buffer.alloc(15), bytes(0));
  const data = scans.map((ids) => {
    const scan = segment(0xda, bytes(ids.length), ...ids.map((id) => bytes(id, 0)), bytes(0, 63, 0));
    return bytes(scan, Buffer.alloc(ids.length));
  });
  return bytes(0xff, 0xd8, quantization, frame, oneCode(0x00), oneCode(0x10), ...data, 0xff, 0xd9);
}

describe('probe of JPEG', () => {
  let plain: Buffer;
  before(async () => {
    plain = await sharp({ create: { width: 40, height: 20, channels: 3, background: 'teal' } })
      .jpeg()
      .toBuffer();
  });

  for (const orientation of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    it(`agrees with sharp on EXIF orientation ${orientation} in both byte orders`, async () => {
      for (const order of ['II', 'MM'] as const) {
        await expectAgreement(withSegments(plain, segment(APP1, 'Exif\0\0', exif(orientation, order))));
      }
    });
  }

  it('returns upright dimensions for EXIF orientation 6', async () => {
    const header = await probeBytes(withSegments(plain, segment(APP1, 'Exif\0\0', exif(6))));
    expect(header).to.include({ width: 20, height: 40, orientation: 6 });
  });

  it('uses the first of two EXIF blocks, even if it is damaged, and skips XMP', async () => {
    const rotated = segment(APP1, 'Exif\0\0', exif(6));
    const broken = segment(APP1, 'Exif\0\0', 'no TIFF at all');
    const xmp = segment(APP1, 'http://ns.adobe.com/xap/1.0/\0<x/>');
    expect(await expectAgreement(withSegments(plain, rotated, segment(APP1, 'Exif\0\0', exif(3))))).to.include({
      orientation: 6,
    });
    expect(await expectAgreement(withSegments(plain, broken, rotated))).to.include({ orientation: 1 });
    expect(await expectAgreement(withSegments(plain, xmp, rotated))).to.include({ orientation: 6 });
  });

  it('reads the existing entries of an EXIF directory that claims more', async () => {
    const block = exif(6);
    block.writeUInt16LE(500, 8);
    expect(await expectAgreement(withSegments(plain, segment(APP1, 'Exif\0\0', block)))).to.include({ orientation: 6 });
  });

  it('finds the frame header after half a megabyte of segments, and reads less than a tenth of them', async () => {
    const profile = Array.from({ length: 10 }, () => segment(APP2, Buffer.alloc(60_000)));
    const source = new Memory(withSegments(plain, ...profile));
    expect(await probe(source)).to.include({ width: 40, height: 20 });
    expect(source.bytesRead).to.be.below(60_000);
  });

  it('skips fill bytes and restart markers before a marker', async () => {
    await expectAgreement(withSegments(plain, bytes(0xff, 0xff, 0xff)));
    await expectAgreement(withSegments(plain, bytes(0xff, 0xd0)));
  });

  it('skips stray bytes between segments, also where they have 0xFF', async () => {
    for (const stray of ['x', 'eighteen stray byt', '\xff\0\xff\0', Buffer.alloc(60_000, 'much')]) {
      expect(await expectAgreement(withSegments(plain, bytes(stray)))).to.include({ width: 40, height: 20 });
    }
  });

  it('recognizes progressive, CMYK and grey', async () => {
    const picture = sharp({ create: { width: 40, height: 20, channels: 3, background: 'teal' } });
    const cmyk = await picture.clone().toColourspace('cmyk').jpeg({ progressive: true }).toBuffer();
    const grey = await picture.clone().toColourspace('b-w').jpeg().toBuffer();
    expect(await expectAgreement(cmyk)).to.include({ channels: 4, alpha: false, progressive: true });
    expect(await expectAgreement(grey)).to.include({ channels: 1, progressive: false });
  });

  it('counts every frame type that is not sequential as progressive', async () => {
    const progressive: number[] = [];
    for (let code = 0xc0; code <= 0xcf; code++) {
      if ([0xc4, 0xc8, 0xcc, ...undecodable].includes(code)) continue;
      const header = await probeBytes(bytes(0xff, 0xd8, frameHeader(10, 10, code), scanHeader()));
      if (header.progressive) progressive.push(code);
    }
    expect(progressive).to.deep.equal([0xc2, 0xc3, 0xca]);
  });

  it('refuses the frames that libjpeg does not decode: hierarchical ones, lossless with arithmetic coding, JPEG-LS', async () => {
    for (const code of [...undecodable, 0xf7]) {
      const file = bytes(0xff, 0xd8, frameHeader(10, 10, code), scanHeader());
      expect(await expectRefusal(file, 'UNSUPPORTED_IMAGE')).to.match(/received '(JPEG-LS|SOF\d+)'$/);
      const decoded = await sharp(file)
        .toBuffer()
        .catch((error: unknown) => error);
      expect(decoded).to.be.instanceOf(Error);
    }
  });

  it('refuses two components, and lossless colours that are YCbCr', async () => {
    const frame = (code: number, components: number) =>
      segment(code, bytes(8, big(10, 2), big(10, 2), components, ...Array(components).fill(Buffer.of(1, 0x11, 0))));
    const two = bytes(0xff, 0xd8, frame(0xc0, 2), scanHeader());
    expect(await expectRefusal(two, 'UNSUPPORTED_IMAGE')).to.match(/Expected 1, 3 or 4/);
    const jfif = segment(0xe0, 'JFIF\0', Buffer.alloc(9));
    const lossless = bytes(0xff, 0xd8, jfif, frame(0xc3, 3), scanHeader());
    expect(await expectRefusal(lossless, 'UNSUPPORTED_IMAGE')).to.match(/received 'YCbCr'$/);
  });

  it('finds EXIF behind the frame header', async () => {
    const frameAt = plain.indexOf(bytes(0xff, 0xc0));
    const frameEnd = frameAt + 2 + plain.readUInt16BE(frameAt + 2);
    const rotated = segment(APP1, 'Exif\0\0', exif(6));
    const file = bytes(plain.subarray(0, frameEnd), rotated, plain.subarray(frameEnd));
    expect(await expectAgreement(file)).to.include({ width: 20, height: 40, orientation: 6 });
  });

  it('counts a baseline picture with several scans as progressive, because its decoder also holds it whole', async () => {
    expect(await expectAgreement(baseline([[1, 2, 3]]))).to.include({ width: 16, progressive: false });
    expect(await expectAgreement(baseline([[1], [2], [3]]))).to.include({ width: 16, progressive: true });
    expect(await expectAgreement(baseline([[1], [2, 3]]))).to.include({ progressive: true });
  });

  it('refuses samples of more than 8 bits as unsupported', async () => {
    const message = await expectRefusal(bytes(0xff, 0xd8, frameHeader(10, 10, 0xc1, 12)), 'UNSUPPORTED_IMAGE');
    expect(message).to.equal('Expected 8 bits a sample for the JPEG, received 12');
  });

  it('refuses a height in DNL, a missing frame header, a second SOI, garbage and impossible lengths', async () => {
    const start = bytes(0xff, 0xd8);
    const scan = scanHeader();
    for (const broken of [
      bytes(start, frameHeader(10, 0), scan),
      bytes(start, frameHeader(0, 10), scan),
      bytes(start, frameHeader(10, 10)),
      bytes(start, scan),
      bytes(start, 0xff, 0xd9),
      bytes(start, start, frameHeader(10, 10), scan),
      bytes(start, Buffer.alloc(70_000, 'garbage'), frameHeader(10, 10), scan),
      bytes(start, 0xff, 0xe0, 0, 1, frameHeader(10, 10), scan),
      bytes(start, 0xff, 0xe0, 0xff, 0xff, frameHeader(10, 10), scan),
      bytes(start, Buffer.alloc(1000, 0xff)),
    ]) {
      await expectRefusal(broken, 'IMAGE_CORRUPT');
    }
  });

  it('refuses a file of empty segments only', async () => {
    const file = bytes(0xff, 0xd8, Buffer.alloc(400_000, segment(0xe0)), frameHeader(10, 10));
    expect(await expectRefusal(file, 'IMAGE_CORRUPT')).to.match(/at most 65536 segments/);
  });
});
