import { expect } from 'chai';
import sharp from 'sharp';
import type { OutputSpec } from '../../../../shared/operations/index.ts';
import { bytes } from '../../../support/hand-made.ts';
import { waves } from '../../../support/pictures.ts';
import { codesOf, performUploaded, pictureOf } from './support.ts';

const ANIMATION = [{ name: 'same', operation: 'resize', format: 'webp', lossless: true }] as const;
const GRAPHIC_CONTROL = bytes(0x21, 0xf9, 4);

/** The offsets of the graphic control extensions, one for each frame. */
function frameOffsets(gif: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = gif.indexOf(GRAPHIC_CONTROL); at >= 0; at = gif.indexOf(GRAPHIC_CONTROL, at + 1)) offsets.push(at);
  return offsets;
}

describe('repair of GIF', () => {
  let sound: Buffer;
  let third: number;
  let expected: unknown;
  before(async () => {
    const frames = await Promise.all([0, 90, 180].map((hue) => waves(24, 20).modulate({ hue }).png().toBuffer()));
    sound = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer();
    third = frameOffsets(sound)[2] ?? 0;
    expected = await pictureOf(await performUploaded(sound, ANIMATION));
  });
  const inserted = (at: number, stray: string | Uint8Array) => bytes(sound.subarray(0, at), stray, sound.subarray(at));

  it('removes a few stray bytes, or any number of zeros, between frames, and keeps all frames', async () => {
    for (const stray of ['\0', 'a', 'sevenby', Buffer.alloc(100)]) {
      const outcome = await performUploaded(inserted(third, stray), ANIMATION);
      const count = stray.length === 1 ? '1 stray byte' : `${stray.length} stray bytes`;
      expect(outcome).to.have.deep.property('warnings', [`Removed ${count} between GIF blocks.`]);
      expect(outcome).to.have.nested.property('outputs[0].header.frames', 3);
      expect(await pictureOf(outcome)).to.deep.equal(expected);
    }
  });

  it('removes stray bytes between a graphic control extension and its frame, and before the first frame', async () => {
    for (const at of [third + 8, frameOffsets(sound)[0] ?? 0]) {
      const outcome = await performUploaded(inserted(at, '\0'), ANIMATION);
      expect(outcome).to.have.deep.property('warnings', ['Removed 1 stray byte between GIF blocks.']);
      expect(await pictureOf(outcome)).to.deep.equal(expected);
    }
  });

  it('refuses so many stray bytes that they may be a damaged block, and damaged introducers', async () => {
    const damaged = (at: number) => {
      const file = Buffer.from(sound);
      file.writeUInt8(0x61, at);
      return file;
    };
    for (const file of [inserted(third, 'eight by'), damaged(third), damaged(third + 8)]) {
      expect(codesOf(await performUploaded(file, ANIMATION))).to.deep.equal(['IMAGE_CORRUPT']);
    }
  });

  it('refuses stray bytes in an animation that is cut, or whose frame lacks pixels', async () => {
    const stray = inserted(third, '\0');
    expect(codesOf(await performUploaded(stray.subarray(0, -40), ANIMATION))).to.deep.equal(['IMAGE_CORRUPT']);
    // Bytes 7 and 8 of a descriptor are the height of the frame.
    const second = frameOffsets(sound)[1] ?? 0;
    stray.writeUInt16LE(21, second + 8 + 7);
    expect(codesOf(await performUploaded(stray, ANIMATION))).to.deep.equal(['IMAGE_CORRUPT']);
  });

  it('refuses an animation that is cut anywhere but between two frames, and not its first frame', async () => {
    const ends = frameOffsets(sound)
      .slice(1)
      .concat(sound.length - 1);
    const outputs: OutputSpec[] = [...ANIMATION, { name: 'first', operation: 'resize', format: 'png' }];
    for (let length = (ends[0] ?? 0) + 1; length < sound.length; length += 7) {
      // The last two bytes of a frame are no pixels: the end of its codes, and of its sub-blocks.
      const isWhole = ends.some((end) => length <= end && length >= end - 2);
      const codes = codesOf(await performUploaded(sound.subarray(0, length), outputs));
      expect(codes, `${length} bytes`).to.deep.equal(isWhole ? [] : ['IMAGE_CORRUPT']);
    }
  });

  it('accepts a missing trailer and bytes after it without a warning', async () => {
    for (const file of [sound.subarray(0, -1), bytes(sound, 'more')]) {
      const outcome = await performUploaded(file, ANIMATION);
      expect(outcome).to.have.deep.property('warnings', []);
      expect(await pictureOf(outcome)).to.deep.equal(expected);
    }
  });
});
