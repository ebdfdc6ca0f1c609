import { expect } from 'chai';
import sharp from 'sharp';
import { bytes, exif, riffChunk, webp } from '../../../support/hand-made.ts';
import { expectAgreement, probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

const EXIF = 0x08;
const ALPHA = 0x10;

/** The picture's own chunk, without the RIFF header. */
async function imageChunk(lossless: boolean): Promise<Buffer> {
  const background = { r: 9, g: 99, b: 199, alpha: 0.5 };
  const picture = sharp({ create: { width: 40, height: 20, channels: lossless ? 4 : 3, background } });
  return (await picture.webp({ lossless }).toBuffer()).subarray(12);
}

describe('probe of WebP', () => {
  let lossy: Buffer;
  let lossless: Buffer;
  before(async () => {
    lossy = await imageChunk(false);
    lossless = await imageChunk(true);
    expect([lossy, lossless].map((data) => data.toString('latin1', 0, 4))).to.deep.equal(['VP8 ', 'VP8L']);
  });

  it('reads the simple layouts', async () => {
    expect(await expectAgreement(riffChunk('RIFF', bytes('WEBP', lossy)))).to.include({
      channels: 3,
      progressive: false,
    });
    expect(await expectAgreement(riffChunk('RIFF', bytes('WEBP', lossless)))).to.include({ channels: 4 });
  });

  it('counts a lossless picture as progressive in both layouts, because its decoder holds it whole', async () => {
    expect(await probeBytes(riffChunk('RIFF', bytes('WEBP', lossless)))).to.include({ progressive: true });
    expect(await probeBytes(webp(ALPHA, 40, 20, lossless))).to.include({ progressive: true });
    expect(await probeBytes(webp(ALPHA, 40, 20, lossy))).to.include({ progressive: false });
  });

  it('reads alpha from the flags of the extended layout, as libwebp does', async () => {
    expect(await expectAgreement(webp(ALPHA, 40, 20, lossy))).to.include({ channels: 4, alpha: true });
    expect(await expectAgreement(webp(0, 40, 20, lossless))).to.include({ channels: 3, alpha: false });
  });

  it('uses the first EXIF block, before or after the picture, if the EXIF flag is set', async () => {
    const rotated = riffChunk('EXIF', exif(6));
    const prefixed = riffChunk('EXIF', bytes('Exif\0\0', exif(8)));
    expect(await expectAgreement(webp(EXIF, 40, 20, lossy, rotated, prefixed))).to.include({ orientation: 6 });
    expect(await expectAgreement(webp(EXIF, 40, 20, prefixed, lossy))).to.include({ width: 20, orientation: 8 });
    expect(await expectAgreement(webp(0, 40, 20, lossy, rotated))).to.include({ width: 40, orientation: 1 });
  });

  it('counts the frames of an animation', async () => {
    const frame = (red: number) => ({
      create: { width: 40, height: 20, channels: 3 as const, background: { r: red, g: 0, b: 0 } },
    });
    const pages = [frame(0), frame(100), frame(200)].map((page) => sharp(page).png().toBuffer());
    const file = await sharp(await Promise.all(pages), { join: { animated: true } })
      .webp()
      .toBuffer();
    expect(await expectAgreement(file)).to.include({ frames: 3, width: 40, height: 20 });
  });

  it('counts only frames within the length in the RIFF header', async () => {
    const frame = riffChunk('ANMF', Buffer.alloc(16));
    const file = bytes(webp(0x02, 40, 20, frame, frame), frame);
    expect(await probeBytes(file)).to.include({ frames: 2 });
  });

  it('refuses invalid headers', async () => {
    const bad = (data: Uint8Array) => riffChunk('RIFF', bytes('WEBP', data));
    const interFrame = Buffer.from(lossy);
    interFrame[8] = 1;
    const badSignature = Buffer.from(lossless);
    badSignature[8] = 0;
    for (const broken of [
      bad(riffChunk('JUNK', Buffer.alloc(30))),
      bad(interFrame),
      bad(badSignature),
      bad(riffChunk('VP8 ', bytes(0, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0))),
      bad(riffChunk('VP8X', Buffer.alloc(4))),
      webp(0x02, 40, 20, lossy),
    ]) {
      await expectRefusal(broken, 'IMAGE_CORRUPT');
    }
  });
});
