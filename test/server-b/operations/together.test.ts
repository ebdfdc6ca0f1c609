import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp, { type Sharp } from 'sharp';
import type { JobOutput } from '../../../server-b/job.ts';
import { OPERATIONS } from '../../../server-b/operations/index.ts';
import { performJob } from '../../../server-b/operations/perform.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { readOutputs } from '../../../shared/operations/outputs.ts';
import { decode, headerOf, LIMITS, own, waves } from '../../support/pictures.ts';
import { peakSignalToNoise, sharpness } from '../../support/quality.ts';
import { requireShared } from '../../support/shared.ts';

/** What the outputs of one task owe to each other: nothing, as far as anybody can see. */
const LEAST_DECIBELS = 45;
const LEAST_SHARPNESS = 0.98;
/** Odd sides, so that no scale divides them, and more than three times as large as the smallest outputs. */
const WIDTH = 451;
const HEIGHT = 303;

const PICTURES = readOutputs([
  { name: 'same', scale_factor: 1 },
  { name: 'large', scale_factor: 0.8 },
  { name: 'half', scale_factor: 0.5, format: 'png' },
  { name: 'card', width: 155, format: 'webp', quality: 90 },
  { name: 'thumb', width: 45, height: 45, fit: 'cover' },
  { name: 'corner', width: 60, height: 35, fit: 'cover', gravity: 'southeast' },
  { name: 'padded', width: 50, height: 50, fit: 'contain', format: 'png' },
  { name: 'turned', width: 75, rotate: 90, flop: true },
  { name: 'grey', width: 100, grayscale: true, format: 'jpeg' },
  { name: 'avatar', operation: 'circle', size: 32 },
]);
const PLACEHOLDER = readOutputs([{ name: 'placeholder', operation: 'placeholder' }]);
const CLASSIFY = readOutputs([{ name: 'labels', operation: 'classify' }]);

async function outputsOf(body: Uint8Array, outputs: readonly OutputSpec[]): Promise<JobOutput[]> {
  const job = { outputs, image: await headerOf(body), body: own(body), deadlineMs: 60_000, model: null };
  const { outcome } = await performJob(job, LIMITS, OPERATIONS);
  if (outcome.kind === 'failed') throw new Error(`Expected outputs, received ${outcome.error.message}`);
  return outcome.outputs;
}

async function pictureOf(body: Uint8Array, outputs: readonly OutputSpec[]): Promise<Uint8Array> {
  const [first] = await outputsOf(body, outputs);
  if (first === undefined || first.picture === null) throw new Error('Expected a picture, received none');
  return first.picture;
}

/** A picture of each kind that decoders and pipelines treat differently. */
async function kinds(): Promise<[string, Buffer][]> {
  const scene = await waves(WIDTH, HEIGHT).png().toBuffer();
  const opaque = () => sharp(scene);
  const clear = () => sharp(scene).ensureAlpha(0.6);
  const writers: Record<string, Sharp> = {
    jpeg: opaque().jpeg({ quality: 95 }),
    'progressive jpeg': opaque().jpeg({ progressive: true }),
    'grey jpeg': opaque().grayscale().jpeg(),
    'CMYK jpeg': opaque().toColourspace('cmyk').jpeg(),
    'jpeg with a wide profile': opaque().withIccProfile('p3').jpeg(),
    'jpeg turned by EXIF': opaque().withMetadata({ orientation: 6 }).jpeg(),
    'jpeg mirrored by EXIF': opaque().withMetadata({ orientation: 5 }).jpeg(),
    png: opaque().png(),
    'png with alpha': clear().png(),
    'grey png': opaque().grayscale().toColourspace('b-w').png(),
    'png of 16 bits': opaque().toColourspace('rgb16').png(),
    'png of 16 bits with a profile': opaque().toColourspace('rgb16').withIccProfile('p3').png(),
    'png with a palette': opaque().png({ palette: true }),
    'png turned by EXIF': opaque().withMetadata({ orientation: 8 }).png(),
    webp: opaque().webp({ quality: 95 }),
    'webp with alpha': clear().webp(),
    'webp without loss': opaque().webp({ lossless: true, effort: 0 }),
    avif: opaque().avif({ effort: 0 }),
    'avif of 10 bits': opaque().avif({ effort: 0, bitdepth: 10 }),
    gif: opaque().gif({ effort: 1 }),
    tiff: opaque().tiff({ compression: 'lzw' }),
    'tiff with alpha': clear().tiff({ compression: 'lzw' }),
  };
  return Promise.all(
    Object.entries(writers).map(async ([kind, writer]): Promise<[string, Buffer]> => [kind, await writer.toBuffer()]),
  );
}

/** Throws unless `together` shows what `alone` does, as sharp. */
async function expectAsGood(what: string, together: Uint8Array | null, alone: Uint8Array): Promise<void> {
  const [one, other] = [await decode(together), await decode(alone)];
  expect(peakSignalToNoise(one, other), `${what}: dB`).to.be.at.least(LEAST_DECIBELS);
  expect(sharpness(one) / sharpness(other), `${what}: sharpness`).to.be.at.least(LEAST_SHARPNESS);
}

describe('outputs of one task', function () {
  this.timeout(120_000);

  it('are the same bytes with and without data beside them, and as good as alone beside pictures', async () => {
    for (const [kind, body] of await kinds()) {
      const together = await outputsOf(body, [...PICTURES, ...CLASSIFY, ...PLACEHOLDER]);
      for (const [index, spec] of PICTURES.entries()) {
        const alone = await pictureOf(body, [spec]);
        for (const data of [PLACEHOLDER, CLASSIFY]) {
          const beside = await pictureOf(body, [spec, ...data]);
          expect(Buffer.compare(beside, alone), `${kind}, ${spec.name}, ${data[0]?.name}`).to.equal(0);
        }
        await expectAsGood(`${kind}, ${spec.name}`, together[index]?.picture ?? null, alone);
      }
    }
  });

  it('are as good as each picture made alone, of real photographs of every format', async function () {
    const photos = join(requireShared(this), 'photos');
    for (const file of [
      'cat-sunglasses.jpg',
      'waterfall-exif6.jpg',
      'astronaut.png',
      'bird-alpha.png',
      'espresso.webp',
    ]) {
      const body = readFileSync(join(photos, file));
      const together = await outputsOf(body, [...PICTURES, ...CLASSIFY, ...PLACEHOLDER]);
      for (const [index, spec] of PICTURES.entries()) {
        await expectAsGood(`${file}, ${spec.name}`, together[index]?.picture ?? null, await pictureOf(body, [spec]));
      }
    }
  });
});
