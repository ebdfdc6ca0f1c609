import { expect } from 'chai';
import sharp from 'sharp';
import { thumbHashToApproximateAspectRatio, thumbHashToAverageRGBA, thumbHashToRGBA } from 'thumbhash';
import { dominantColor, placeholder } from '../../../server-b/operations/placeholder.ts';
import { type PlaceholderData, placeholderDataSchema } from '../../../shared/operations/placeholder.ts';
import { openPicture, pixelAt, plain, quarters } from '../../support/pictures.ts';
import { animation, expectNear } from '../../support/resized.ts';

async function placeholderOf(body: Uint8Array): Promise<PlaceholderData & { readonly hash: Uint8Array }> {
  const product = await placeholder(await openPicture(body));
  const data = placeholderDataSchema.parse(product.kind === 'data' ? product.data : null);
  return { ...data, hash: Buffer.from(data.thumbhash, 'base64') };
}

/** RGBA pixels of some colours, each repeated as often as given. */
function pixelsOf(...colors: readonly (readonly [count: number, color: readonly number[]])[]): Uint8Array {
  return Uint8Array.from(colors.flatMap(([count, color]) => Array.from({ length: count }, () => color).flat()));
}

describe('placeholder', () => {
  it('has a ThumbHash of at most 28 bytes that shows the picture roughly', async () => {
    const { hash } = await placeholderOf(await quarters(400, 300).jpeg().toBuffer());
    expect(hash.length).to.be.within(5, 28);
    const { w, h, rgba } = thumbHashToRGBA(hash);
    const shown = { pixels: rgba, width: w, height: h, channels: 4 } as const;
    const [red = 0, ...others] = pixelAt(shown, 2, 2).slice(0, 3);
    expect(red - Math.max(...others), 'red above and left').to.be.above(100);
    expect(Math.min(...pixelAt(shown, w - 3, h - 3)), 'white below and right').to.be.above(120);
  });

  it('has the mean colour and the shape of the picture in its ThumbHash', async () => {
    const { hash } = await placeholderOf(await plain(300, 200, '#336699'));
    const { r, g, b, a } = thumbHashToAverageRGBA(hash);
    expectNear(
      [r, g, b, a].map((value) => Math.round(value * 255)),
      [51, 102, 153, 255],
      'mean',
      8,
    );
    expect(thumbHashToApproximateAspectRatio(hash)).to.be.closeTo(1.5, 0.3);
  });

  it('keeps transparency in its ThumbHash', async () => {
    const clear = { create: { width: 80, height: 80, channels: 4 as const, background: '#ff000000' } };
    const { hash } = await placeholderOf(await sharp(clear).png().toBuffer());
    expect(thumbHashToAverageRGBA(hash).a).to.be.below(0.1);
  });

  it('has the dominant colour and the aspect ratio of the picture', async () => {
    const { dominant_color, aspect_ratio } = await placeholderOf(await plain(300, 200, '#336699'));
    expect({ dominant_color, aspect_ratio }).to.deep.equal({ dominant_color: '#336699', aspect_ratio: 1.5 });
  });

  it('describes the upright picture', async () => {
    const body = await sharp(await plain(300, 200, '#336699'))
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    expect((await placeholderOf(body)).aspect_ratio).to.equal(0.6667);
  });

  it('describes the first frame', async () => {
    const { dominant_color, aspect_ratio } = await placeholderOf(await animation('gif'));
    expect({ dominant_color, aspect_ratio }).to.deep.equal({ dominant_color: '#ff0000', aspect_ratio: 1.5 });
  });

  it('accepts grey, tiny and very long pictures', async () => {
    const grey = await sharp(await plain(9, 9, '#808080'))
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect((await placeholderOf(grey)).dominant_color).to.equal('#808080');
    expect((await placeholderOf(await plain(1, 1, '#0000ff'))).dominant_color).to.equal('#0000ff');
    expect((await placeholderOf(await plain(16_000, 1, '#0000ff'))).aspect_ratio).to.equal(16_000);
  });
});

describe('dominantColor', () => {
  it('is the mean of the most frequent group of similar colours, not the mean of all', () => {
    const pixels = pixelsOf([3, [0, 0, 250, 255]], [2, [0, 0, 254, 255]], [4, [255, 0, 0, 255]]);
    expect(dominantColor({ pixels })).to.equal('#0000fc');
  });

  it('does not count transparent pixels', () => {
    const pixels = pixelsOf([9, [0, 255, 0, 127]], [1, [255, 0, 0, 128]]);
    expect(dominantColor({ pixels })).to.equal('#ff0000');
  });

  it('is white for a completely transparent picture', () => {
    expect(dominantColor({ pixels: pixelsOf([4, [0, 0, 0, 0]]) })).to.equal('#ffffff');
  });
});
