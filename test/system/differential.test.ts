import { expect } from 'chai';
import sharp from 'sharp';
import { type Raster, rasterize } from '../../server-b/operations/raster.ts';
import type { Size } from '../../shared/operations/format.ts';
import { pictureKinds } from '../support/picture-kinds.ts';
import { peakSignalToNoise } from '../support/quality.ts';
import { Service } from '../support/service.ts';

const AT_ONCE = 4;

describe('pictures of every kind, compared with plain sharp', function () {
  this.timeout(300_000);

  const kinds = pictureKinds();
  let service: Service;

  before(async () => {
    service = await Service.start();
  });

  after(() => service.stop());

  /** What differs between the service's output and sharp's; null when nothing does. */
  async function findDifference(body: Buffer, scale: number): Promise<string | null> {
    // Lossless, so that only decoding and scaling are compared.
    const task = await service.run(body, {
      outputs: JSON.stringify([{ name: 'scaled', scale_factor: scale, format: 'webp', lossless: true }]),
    });
    if (task.status !== 'completed') return `${task.status}: ${JSON.stringify(task.error)}`;
    const whole = await sharp(body).metadata();
    const { width, height } = whole.autoOrient;
    const frames = whole.format === 'gif' || whole.format === 'webp' ? (whole.pages ?? 1) : 1;
    const { input } = task;
    if (input.width !== width || input.height !== height) return `a record of ${input.width}×${input.height}`;
    if (input.frames !== frames) return `a record of ${input.frames} frames`;
    const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
    const made = await service.picture(task.task_id);
    const found = await sharp(made).metadata();
    if ((found.pages ?? 1) !== frames) return `${found.pages} frames`;
    for (let page = 0; page < frames; page += 1) {
      const reference = await drawAlone(body, frames === 1 ? undefined : page, size);
      const picture = await rasterize(sharp(made, { page }).ensureAlpha());
      if (picture.width !== size.width || picture.height !== size.height) return 'another size';
      const decibels = peakSignalToNoise(withoutHiddenColours(picture), withoutHiddenColours(reference));
      if (decibels < 45) return `frame ${page} of ${decibels.toFixed(1)} dB at ${scale}`;
    }
    return null;
  }

  it(`have the size, the frames, the orientation and at least 45 dB, for all ${kinds.length} kinds`, async () => {
    expect(kinds.length).at.least(300);
    const failures: string[] = [];
    const left = kinds.entries();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (const [index, { name, make }] of left) {
          // Each kind occurs twice in a row, with different orientations.
          const difference = await findDifference(await make(), index % 2 === 0 ? 1 : 0.5);
          if (difference !== null) failures.push(`${name}: ${difference}`);
        }
      }),
    );
    expect(failures).to.deep.equal([]);
  });
});

/**
 * One frame as plain sharp resizes it, RGBA. Pixels that are fully transparent have no colour that could differ. sharp
 * leaves 16-bit pixels with an ICC profile in Display P3 unless an output profile is set.
 */
async function drawAlone(body: Buffer, page: number | undefined, size: Size): Promise<Raster> {
  // One page of an animation would shrink on load; an animation does not.
  const still = page === undefined ? body : await sharp(body, { page }).png().toBuffer();
  const opened = sharp(still)
    .autoOrient()
    .resize({ ...size, fit: 'fill' });
  return rasterize(opened.withIccProfile('srgb').ensureAlpha());
}

/** Makes fully transparent pixels black. */
function withoutHiddenColours(raster: Raster): Raster {
  const pixels = raster.pixels.slice();
  for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3] === 0) pixels.fill(0, at, at + 3);
  return { ...raster, pixels };
}
