import { expect } from 'chai';
import sharp from 'sharp';
import { countEncodedFrames } from '../../../server-b/operations/encoded-frames.ts';
import { bytes, gifFrame, gifStart } from '../../support/hand-made.ts';
import { plain } from '../../support/pictures.ts';
import { resized } from '../../support/resized.ts';

/** An animated GIF of one-coloured frames, which its encoder may not join. */
async function gifOf(colors: readonly string[]): Promise<Buffer> {
  const frames = await Promise.all(colors.map((color) => plain(16, 12, color)));
  const delay = colors.map((_, index) => 100 + 10 * index);
  return sharp(frames, { join: { animated: true } })
    .gif({ delay, keepDuplicateFrames: true })
    .toBuffer();
}

describe('frames of an output', () => {
  for (const format of ['gif', 'webp'] as const) {
    it(`are those in the ${format} itself, whose encoder joins equal ones`, async () => {
      for (const [colors, most] of [
        [['red', 'red', 'red', 'blue', 'blue', 'red'], 6],
        [['red', 'red', 'red'], 3],
        [['red', 'green', 'blue'], 3],
      ] as const) {
        const { picture, frames } = await resized(await gifOf(colors), { width: 8, format });
        const { pages = 1, delay = [] } = await sharp(picture).metadata();
        expect(frames, colors.join()).to.equal(pages).and.at.most(most);
        const sum = delay.reduce((total, one) => total + one, 0);
        if (pages > 1) expect(sum).to.equal(colors.reduce((total, _, index) => total + 100 + 10 * index, 0));
      }
    });
  }

  it('are counted over colour tables, extensions and data of many blocks', async () => {
    const extension = bytes(0x21, 0xf9, 4, 0, 0, 0, 0, 0);
    const local = bytes(0x2c, Buffer.alloc(8), 0x81, Buffer.alloc(12), 2, 2, 0x2c, 0x2c, 1, 0x21, 0);
    const gif = bytes(gifStart(4, 4), extension, gifFrame(1, 1), local, extension, gifFrame(1, 1), 0x3b);
    expect(countEncodedFrames('gif', gif)).to.equal(3);
    expect(countEncodedFrames('png', Buffer.alloc(9))).to.equal(1);
    const still = await sharp(await plain(8, 8, 'red'))
      .webp()
      .toBuffer();
    expect(countEncodedFrames('webp', still)).to.equal(1);
  });
});
