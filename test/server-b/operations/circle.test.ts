import { expect } from 'chai';
import sharp from 'sharp';
import { circle, cutCircle } from '../../../server-b/operations/circle.ts';
import { CIRCLE_FORMATS, type CircleParameters } from '../../../shared/operations/circle.ts';
import { decode, drawn, openPicture, pixelAt, plain, quarters } from '../../support/pictures.ts';

async function cut(body: Uint8Array, parameters: CircleParameters) {
  return drawn(await circle(await openPicture(body), { name: 'circle', operation: 'circle', ...parameters }));
}

describe('circle', () => {
  it('is a png of size × size, opaque inside and transparent outside', async () => {
    const { picture, ...facts } = await cut(await plain(300, 200, '#336699', 'jpeg'), { size: 64 });
    expect(facts).to.include({ kind: 'picture', format: 'png', width: 64, height: 64, frames: 1 });
    const raster = await decode(picture);
    expect(pixelAt(raster, 0, 0)).to.deep.equal([0, 0, 0, 0]);
    expect(pixelAt(raster, 63, 63)).to.deep.equal([0, 0, 0, 0]);
    expect(pixelAt(raster, 32, 32)[3]).to.equal(255);
    expect(pixelAt(raster, 1, 32)[3]).to.equal(255);
  });

  it('is cut from the centre, with the shorter side as its diameter', async () => {
    const raster = await decode((await cut(await quarters(400, 100).png().toBuffer(), { size: 50 })).picture);
    expect(pixelAt(raster, 20, 12)).to.deep.equal([255, 0, 0, 255]);
    expect(pixelAt(raster, 30, 12)).to.deep.equal([0, 255, 0, 255]);
    expect(pixelAt(raster, 20, 38)).to.deep.equal([0, 0, 255, 255]);
  });

  it('has the area of the circle to half a per cent, with partly transparent edge pixels', () => {
    for (const size of [20, 21, 100, 333]) {
      const pixels = new Uint8Array(size * size * 4).fill(255);
      cutCircle(pixels, size);
      const alpha = pixels.filter((_, index) => index % 4 === 3);
      const area = alpha.reduce((sum, value) => sum + value, 0) / 255;
      expect(area / ((Math.PI * size * size) / 4), `size ${size}`).to.be.closeTo(1, 0.005);
      expect(alpha.some((value) => value > 0 && value < 255)).to.equal(true);
    }
  });

  it('gives every pixel the alpha for its distance from the edge, for every size', () => {
    for (let size = 1; size <= 40; size += 1) {
      const pixels = new Uint8Array(size * size * 4).fill(255);
      cutCircle(pixels, size);
      for (let index = 0; index < size * size; index += 1) {
        const across = (index % size) + 0.5 - size / 2;
        const down = Math.floor(index / size) + 0.5 - size / 2;
        const coverage = Math.min(1, Math.max(0, size / 2 + 0.5 - Math.hypot(across, down)));
        expect(pixels[index * 4 + 3], `size ${size}, pixel ${index}`).to.equal(Math.round(255 * coverage));
      }
    }
  });

  it('keeps the picture’s own transparency inside', async () => {
    const half = { create: { width: 40, height: 40, channels: 4 as const, background: '#ff000080' } };
    const raster = await decode((await cut(await sharp(half).png().toBuffer(), { size: 40 })).picture);
    expect(pixelAt(raster, 20, 20)[3]).to.equal(128);
    expect(pixelAt(raster, 0, 0)[3]).to.equal(0);
  });

  it('is webp or avif when requested', async () => {
    const body = await plain(60, 60, '#336699');
    for (const format of CIRCLE_FORMATS) {
      const { picture, ...facts } = await cut(body, { size: 30, format });
      expect(facts).to.include({ format });
      expect(pixelAt(await decode(picture), 0, 0)[3]).to.equal(0);
    }
  });

  it('can be grey', async () => {
    const raster = await decode((await cut(await plain(60, 60, '#ff0000'), { size: 30, grayscale: true })).picture);
    const [red, green, blue, alpha] = pixelAt(raster, 15, 15);
    expect([green, blue, alpha]).to.deep.equal([red, red, 255]);
  });

  it('uses the first frame of an animation, upright, and enlarges a small picture', async () => {
    const frames = await Promise.all([plain(12, 20, '#ff0000'), plain(12, 20, '#0000ff')]);
    const body = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer();
    const { picture, ...facts } = await cut(body, { size: 100 });
    expect(facts).to.include({ width: 100, height: 100, frames: 1 });
    const [red = 0, , blue = 0] = pixelAt(await decode(picture), 50, 50);
    expect([red > 250, blue < 5]).to.deep.equal([true, true]);
  });

  it('accepts a picture one pixel high', async () => {
    const facts = await cut(await plain(8000, 1, '#336699'), { size: 500 });
    expect(facts).to.include({ width: 500, height: 500 });
  });
});
