import { expect } from 'chai';
import { probe } from '../../../../server-a/probe/probe.ts';
import { bytes, gifFrame, gifStart, little } from '../../../support/hand-made.ts';
import { expectAgreement, Memory, probeBytes } from '../agreement.ts';
import { expectRefusal } from '../refusal.ts';

const TRAILER = 0x3b;
/** A graphic control extension that makes colour 0 transparent. */
const TRANSPARENT = bytes(0x21, 0xf9, 4, 1, 0, 0, 0, 0);
const COMMENT = bytes(0x21, 0xfe, 5, 'hello', 0);
const LOOP = bytes(0x21, 0xff, 11, 'NETSCAPE2.0', 3, 1, 0, 0, 0);

describe('probe of GIF', () => {
  it('counts frames among comments, loops, plain text and local colour tables', async () => {
    const local = bytes(gifFrame(10, 10).subarray(0, 9), 0x80, Buffer.alloc(6), 2, 2, 0x4c, 1, 0);
    const plainText = bytes(0x21, 0x01, 12, Buffer.alloc(12), 0);
    const file = bytes(gifStart(10, 10), LOOP, COMMENT, gifFrame(10, 10), plainText, local, gifFrame(5, 5), TRAILER);
    expect(await expectAgreement(file)).to.include({ frames: 3, width: 10, height: 10, channels: 3 });
  });

  it('has alpha when any frame has a transparent colour', async () => {
    const file = bytes(gifStart(10, 10), gifFrame(10, 10), TRANSPARENT, COMMENT, gifFrame(5, 5), TRAILER);
    expect(await expectAgreement(file)).to.include({ frames: 2, channels: 4, alpha: true });
    const unused = bytes(gifStart(10, 10), gifFrame(10, 10), TRANSPARENT, TRAILER);
    expect(await expectAgreement(unused)).to.include({ frames: 1, alpha: false });
  });

  it('is progressive when a frame is interlaced', async () => {
    await expectAgreement(bytes(gifStart(10, 10), gifFrame(10, 10, 0x40), TRAILER));
    await expectAgreement(bytes(gifStart(10, 10), gifFrame(10, 10), gifFrame(10, 10, 0x40), TRAILER));
  });

  it('lets only the first frame enlarge the canvas', async () => {
    const file = bytes(gifStart(10, 10), gifFrame(30, 20), gifFrame(50, 50), TRAILER);
    expect(await expectAgreement(file)).to.include({ width: 30, height: 20 });
  });

  it('takes the canvas from the header, whatever its size', async () => {
    for (const [width, height] of [
      [640, 480],
      [800, 600],
      [1600, 1200],
      [2049, 10],
      [10, 2049],
      [65_535, 65_535],
    ] as const) {
      const header = await probeBytes(bytes(gifStart(width, height), gifFrame(7, 5), TRAILER));
      expect(header).to.include({ width, height });
    }
  });

  it('takes the size of the first frame when the header has none', async () => {
    for (const [width, height] of [
      [0, 10],
      [10, 0],
      [0, 0],
    ] as const) {
      await expectAgreement(bytes(gifStart(width, height), gifFrame(7, 5), TRAILER));
    }
  });

  it('has alpha when pixels stay undrawn or are uncovered', async () => {
    const disposal = (method: number) => bytes(0x21, 0xf9, 4, method << 2, 0, 0, 0, 0);
    const alphaOf = async (...blocks: Uint8Array[]) =>
      (await probeBytes(bytes(gifStart(10, 10), ...blocks, TRAILER))).alpha;
    const frame = gifFrame(10, 10);
    expect(await alphaOf(gifFrame(9, 10)), 'a first frame smaller than the canvas').to.equal(true);
    expect(await alphaOf(disposal(2), frame, frame), 'restored to the background').to.equal(true);
    expect(await alphaOf(frame, disposal(2), frame, frame), 'a later one restored to the background').to.equal(true);
    expect(await alphaOf(disposal(3), frame, frame), 'restored to what was before the first').to.equal(true);
    expect(await alphaOf(frame, disposal(3), frame, frame), 'restored to a frame').to.equal(false);
    expect(await alphaOf(frame, disposal(2), frame), 'nothing follows').to.equal(false);
    expect(await alphaOf(disposal(1), frame, gifFrame(5, 5)), 'left in place').to.equal(false);
  });

  it('counts the frames of a truncated file as libnsgif does, for every length', async () => {
    const second = bytes(TRANSPARENT, gifFrame(10, 10));
    const whole = bytes(gifStart(10, 10), LOOP, gifFrame(10, 10), COMMENT, second, TRAILER);
    const first = 13 + LOOP.length + gifFrame(10, 10).length - 2;
    for (let length = first; length <= whole.length; length++) {
      await expectAgreement(whole.subarray(0, length));
    }
  });

  it('refuses a GIF without a frame', async () => {
    await expectRefusal(bytes(gifStart(10, 10), TRAILER), 'IMAGE_CORRUPT');
    await expectRefusal(bytes(gifStart(10, 10), COMMENT, TRAILER), 'IMAGE_CORRUPT');
    await expectRefusal(bytes(gifStart(10, 10), 0x2c, little(0, 4)), 'IMAGE_CORRUPT');
    const badCodeSize = gifFrame(10, 10);
    badCodeSize[10] = 12;
    await expectRefusal(bytes(gifStart(10, 10), badCodeSize, TRAILER), 'IMAGE_CORRUPT');
  });

  it('walks two million bytes of blocks with few reads, and reads hardly any byte twice', async () => {
    const data = Buffer.alloc(2_000_000, 1);
    const file = bytes(gifStart(10, 10), gifFrame(10, 10).subarray(0, 11), data, 0, TRAILER);
    const source = new Memory(file);
    expect(await probe(source)).to.include({ frames: 1 });
    // Two windows overlap by at most the head of one block.
    expect(source.bytesRead).to.be.below(1.1 * file.length);
    expect(source.reads).to.be.below(60);
  });

  it('counts a hundred thousand frames', async () => {
    const file = bytes(gifStart(1, 1), Buffer.alloc(100_000 * gifFrame(1, 1).length, gifFrame(1, 1)), TRAILER);
    expect(await probeBytes(file)).to.include({ frames: 100_000 });
  });
});
