import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import type { JobOutput } from '../../../server-b/job.ts';
import { OPERATIONS } from '../../../server-b/operations/index.ts';
import { performJob } from '../../../server-b/operations/perform.ts';
import type { ImageHeader } from '../../../shared/image-header.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { decode, headerOf, LIMITS, meanDifference, own, plain, waves } from '../../support/pictures.ts';
import { requireShared } from '../../support/shared.ts';

interface Given {
  readonly image?: Partial<ImageHeader>;
  readonly deadlineMs?: number;
  readonly limits?: Partial<typeof LIMITS>;
}

async function perform(body: Uint8Array, outputs: OutputSpec[], given: Given = {}, header?: ImageHeader) {
  const image = { ...(header ?? (await headerOf(body))), ...given.image };
  const job = { outputs, image, body: own(body), deadlineMs: given.deadlineMs ?? 30_000, model: null };
  return performJob(job, { ...LIMITS, ...given.limits }, OPERATIONS);
}

async function outputsOf(body: Uint8Array, specs: OutputSpec[], given: Given = {}): Promise<JobOutput[]> {
  const { outcome } = await perform(body, specs, given);
  if (outcome.kind === 'failed') throw new Error(`Expected outputs, received ${outcome.error.message}`);
  return outcome.outputs;
}

const half: OutputSpec = { name: 'resize', operation: 'resize', scale_factor: 0.5 };
const circle: OutputSpec = { name: 'circle', operation: 'circle', size: 20 };
const classify: OutputSpec = { name: 'classify', operation: 'classify', top_k: 5 };

describe('performJob', () => {
  it('returns the outputs in the requested order, with the time of each step', async () => {
    const { outcome, faults } = await perform(await waves(60, 40).jpeg().toBuffer(), [circle, half]);
    expect(faults).to.deep.equal([]);
    expect(outcome).to.have.property('kind', 'done');
    if (outcome.kind !== 'done') return;
    expect(outcome.outputs.map(({ header }) => header.name)).to.deep.equal(['circle', 'resize']);
    expect(outcome.timings).to.have.all.keys('decode_ms', 'circle_ms', 'resize_ms');
    for (const { header, picture } of outcome.outputs) {
      expect(header).to.have.property('bytes', picture?.byteLength);
      expect(picture?.buffer.byteLength).to.equal(picture?.byteLength);
    }
  });

  it('lets one output fail independently of the others', async () => {
    const outputs = await outputsOf(await plain(40, 40, '#336699'), [half, classify]);
    expect(outputs.map(({ header }) => header.kind)).to.deep.equal(['picture', 'failure']);
    expect(outputs[1]?.header).to.have.nested.property('error.code', 'MODEL_UNAVAILABLE');
  });

  it('fails an output beyond the limits, and makes the others', async () => {
    const huge: OutputSpec = { name: 'resize', operation: 'resize', width: 2000 };
    const outputs = await outputsOf(await plain(40, 40, '#336699'), [huge, circle], { limits: { maxSide: 1000 } });
    expect(outputs[0]?.header).to.have.nested.property('error.code', 'IMAGE_TOO_LARGE');
    expect(outputs[1]?.header).to.include({ kind: 'picture' });
  });

  it('fails the job with IMAGE_CORRUPT for a truncated picture of every format, without internal details', async () => {
    for (const format of ['jpeg', 'png', 'webp', 'avif'] as const) {
      const options = format === 'avif' ? { effort: 0 } : {};
      const whole = await waves(300, 200).toFormat(format, options).toBuffer();
      const header = await headerOf(whole);
      for (const specs of [[half], [half, circle, classify]]) {
        const cut = whole.subarray(0, Math.floor(whole.length * 0.6));
        const { outcome, faults } = await perform(cut, specs, {}, header);
        expect(outcome, format).to.have.nested.property('error.code', 'IMAGE_CORRUPT');
        expect(outcome)
          .to.have.nested.property('error.message')
          .that.matches(/^Expected a whole \w+ picture/);
        expect(outcome)
          .to.have.nested.property('error.message')
          .that.does.not.match(/vips|buffer|node_modules/i);
        expect(faults).to.have.length(1);
      }
    }
  });

  it('fails the job for bytes that are not a picture, and for SVG', async () => {
    const header = await headerOf(await plain(10, 10, '#336699'));
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="9" height="9"/></svg>';
    for (const body of [Buffer.from('no picture at all'), Buffer.from(svg)]) {
      const { outcome } = await perform(body, [half], {}, header);
      expect(outcome).to.have.nested.property('error.code', 'IMAGE_CORRUPT');
    }
  });

  it('fails the job when the picture differs from the announced header', async () => {
    const body = await plain(40, 30, '#336699');
    for (const image of [{ format: 'jpeg' as const }, { width: 39 }, { frames: 2 }]) {
      const { outcome } = await perform(body, [half], { image });
      expect(outcome, JSON.stringify(image)).to.have.nested.property('error.code', 'IMAGE_CORRUPT');
    }
  });

  it('fails the job with IMAGE_TOO_LARGE when decoding would exceed the limits', async () => {
    const body = await plain(400, 300, '#336699');
    for (const limits of [{ maxPixels: 100_000 }, { maxSide: 399 }, { maxDecodedMb: 0.2 }]) {
      const { outcome } = await perform(body, [half], { limits });
      expect(outcome, JSON.stringify(limits)).to.have.nested.property('error.code', 'IMAGE_TOO_LARGE');
    }
  });

  it('fails the job with TIMEOUT when the deadline has passed', async () => {
    const { outcome } = await perform(await plain(40, 40, '#336699'), [half], { deadlineMs: 0 });
    expect(outcome).to.have.nested.property('error.code', 'TIMEOUT');
  });

  it('ends a pipeline that runs past the deadline', async function () {
    this.timeout(180_000);
    const body = await plain(4000, 4000, '#336699');
    const slow: OutputSpec = { name: 'resize', operation: 'resize', scale_factor: 2.4, format: 'webp' };
    const { outcome } = await perform(body, [slow], { deadlineMs: 600 });
    expect(outcome).to.have.nested.property('error.code', 'TIMEOUT');
  });

  it('fails only the animation when a later frame is corrupt', async () => {
    const frames = await Promise.all([0, 90, 180, 270].map((hue) => waves(120, 90).modulate({ hue }).png().toBuffer()));
    const body = await sharp(frames, { join: { animated: true } })
      .webp({ lossless: true })
      .toBuffer();
    const last = body.lastIndexOf('ANMF');
    body.fill(0x55, last + 60, last + 600);
    const { outcome } = await perform(body, [{ ...half, format: 'gif' }, circle]);
    expect(outcome).to.have.property('kind', 'done');
    if (outcome.kind !== 'done') return;
    expect(outcome.outputs[0]?.header).to.have.nested.property('error.code', 'IMAGE_CORRUPT');
    expect(outcome.outputs[1]?.header).to.include({ kind: 'picture' });
  });

  it('makes outputs that share a decode as good as outputs made alone', async function () {
    this.timeout(180_000);
    const photos = join(requireShared(this), 'photos');
    // `together.test.ts` has the other kinds of photographs.
    const files = ['espresso-cmyk.jpg', 'cat-chelsea-closeup.avif'];
    const sets: OutputSpec[][] = [
      [
        { name: 'resize', operation: 'resize', scale_factor: 0.5, format: 'png' },
        { name: 'circle', operation: 'circle', size: 120 },
        classify,
      ],
      [
        { name: 'resize', operation: 'resize', width: 200, height: 160, fit: 'cover', format: 'png' },
        { name: 'circle', operation: 'circle', size: 100 },
      ],
      [
        { name: 'resize', operation: 'resize', width: 90, format: 'png' },
        { name: 'circle', operation: 'circle', size: 150 },
      ],
    ];
    for (const file of files) {
      const body = readFileSync(join(photos, file));
      for (const specs of sets) {
        const together = await outputsOf(body, specs);
        for (const [index, spec] of specs.entries()) {
          // If the picture is not square, rounding may move the circle's centre by half a pixel in either direction.
          const { width, height } = await headerOf(body);
          if (spec.operation === 'classify') continue;
          if (spec.operation === 'circle' && width !== height) continue;
          const [alone] = await outputsOf(body, [spec]);
          const difference = meanDifference(
            await decode(together[index]?.picture ?? null),
            await decode(alone?.picture ?? null),
          );
          expect(difference, `${file} ${spec.operation}`).to.be.below(1.5);
        }
      }
    }
  });
});
