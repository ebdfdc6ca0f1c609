import { expect } from 'chai';
import sharp from 'sharp';
import { OPERATIONS } from '../../server-b/operations/index.ts';
import { performJob } from '../../server-b/operations/perform.ts';
import { type Raster, rasterize } from '../../server-b/operations/raster.ts';
import type { Size } from '../../shared/operations/format.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import type { Task } from '../../shared/task.ts';
import { probeBytes } from '../server-a/probe/agreement.ts';
import { pictureKinds } from '../support/picture-kinds.ts';
import { LIMITS, own } from '../support/pictures.ts';
import { peakSignalToNoise } from '../support/quality.ts';
import { Service } from '../support/service.ts';

const AT_ONCE = 4;
/** Of so many kinds in a row, one goes through the running service: two or three of each format and variant do. */
const SERVED = 9;

/** What is recorded of a picture, and the output; or why there is none. */
type Outcome =
  | { readonly header: Pick<Task['input'], 'width' | 'height' | 'frames'>; readonly made: Uint8Array }
  | string;

describe('pictures of every kind, compared with plain sharp', function () {
  this.timeout(300_000);

  const kinds = pictureKinds();
  let service: Service;

  before(async () => {
    service = await Service.start();
  });

  after(() => service.stop());

  /** The header and the output by the running service. */
  async function byService(body: Buffer, outputs: OutputSpec[]): Promise<Outcome> {
    const task = await service.run(body, { outputs: JSON.stringify(outputs) });
    if (task.status !== 'completed') return `${task.status}: ${JSON.stringify(task.error)}`;
    return { header: task.input, made: await service.picture(task.task_id) };
  }

  /** What differs between the output and sharp's; null when nothing does. */
  async function findDifference(body: Buffer, scale: number, make: typeof byService): Promise<string | null> {
    // Lossless, so that only decoding and scaling are compared.
    const outcome = await make(body, [
      { name: 'scaled', operation: 'resize', scale_factor: scale, format: 'webp', lossless: true },
    ]);
    if (typeof outcome === 'string') return outcome;
    const { header: input, made } = outcome;
    const whole = await sharp(body).metadata();
    const { width, height } = whole.autoOrient;
    const frames = whole.format === 'gif' || whole.format === 'webp' ? (whole.pages ?? 1) : 1;
    if (input.width !== width || input.height !== height) return `a record of ${input.width}×${input.height}`;
    if (input.frames !== frames) return `a record of ${input.frames} frames`;
    const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
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
          const by = index % SERVED === 0 ? byService : byFunctions;
          const difference = await findDifference(await make(), index % 2 === 0 ? 1 : 0.5, by);
          if (difference !== null) failures.push(`${name}: ${difference}`);
        }
      }),
    );
    expect(failures).to.deep.equal([]);
  });
});

/** The header and the output by Server A's probe and Server B's operations, without the processes around them. */
async function byFunctions(body: Buffer, outputs: OutputSpec[]): Promise<Outcome> {
  const image = await probeBytes(body);
  const job = { outputs, image, body: own(body), deadlineMs: 60_000, model: null };
  const { outcome } = await performJob(job, LIMITS, OPERATIONS);
  if (outcome.kind === 'failed') return JSON.stringify(outcome.error);
  const [output] = outcome.outputs;
  return output?.picture ? { header: image, made: output.picture } : JSON.stringify(output?.header);
}

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
