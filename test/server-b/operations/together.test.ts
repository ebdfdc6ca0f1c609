import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp, { type Sharp } from 'sharp';
import type { JobOutput } from '../../../server-b/job.ts';
import { OPERATIONS } from '../../../server-b/operations/index.ts';
import { performJob } from '../../../server-b/operations/perform.ts';
import type { ImageHeader } from '../../../shared/image-header.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { readOutputs } from '../../../shared/operations/outputs.ts';
import { decode, headerOf, LIMITS, own, waves } from '../../support/pictures.ts';
import { peakSignalToNoise, sharpness } from '../../support/quality.ts';
import { requireShared } from '../../support/shared.ts';

/** An output made together with others must look like one made alone. These are the limits for both measures. */
const LEAST_DECIBELS = 45;
const LEAST_SHARPNESS = 0.98;
/** Primes, so that no scale divides them; the shorter one is longer than the classifier's 256 pixels. */
const WIDTH = 281;
const HEIGHT = 257;

/**
 * Scales at which decoders shrink on load and at which they do not; two in the input's own format, which may be slow.
 */
const PICTURES = readOutputs([
  { name: 'same', scale_factor: 1 },
  { name: 'large', scale_factor: 0.8, format: 'jpeg', quality: 95 },
  { name: 'half', scale_factor: 0.5, format: 'png' },
  { name: 'card', width: 95, format: 'webp', quality: 90 },
  { name: 'corner', width: 41, height: 25, fit: 'cover', gravity: 'southeast' },
  { name: 'padded', width: 35, height: 35, fit: 'contain', format: 'png' },
  { name: 'turned', width: 65, rotate: 90, flop: true, grayscale: true, format: 'tiff' },
  { name: 'avatar', operation: 'circle', size: 28 },
]);
/** Data that a task may have in addition to a picture. It needs more pixels than most pictures, or fewer. */
const DATA = readOutputs([
  { name: 'labels', operation: 'classify' },
  { name: 'placeholder', operation: 'placeholder' },
]);

/** An input picture with its header. */
interface Input {
  readonly body: Uint8Array;
  readonly image: ImageHeader;
}

async function inputOf(body: Uint8Array): Promise<Input> {
  return { body, image: await headerOf(body) };
}

async function outputsOf({ body, image }: Input, outputs: readonly OutputSpec[]): Promise<JobOutput[]> {
  const job = { outputs, image, body: own(body), deadlineMs: 60_000, model: null };
  const { outcome } = await performJob(job, LIMITS, OPERATIONS);
  if (outcome.kind === 'failed') throw new Error(`Expected outputs, received ${outcome.error.message}`);
  return outcome.outputs;
}

async function pictureOf(input: Input, outputs: readonly OutputSpec[]): Promise<Uint8Array> {
  const [first] = await outputsOf(input, outputs);
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

/** Throws unless `together` looks like `alone` and is as sharp. */
async function expectAsGood(what: string, together: Uint8Array | null, alone: Uint8Array): Promise<void> {
  if (together !== null && Buffer.compare(together, alone) === 0) return;
  const [one, other] = [await decode(together), await decode(alone)];
  expect(peakSignalToNoise(one, other), `${what}: dB`).to.be.at.least(LEAST_DECIBELS);
  expect(sharpness(one) / sharpness(other), `${what}: sharpness`).to.be.at.least(LEAST_SHARPNESS);
}

describe('outputs of one task', function () {
  this.timeout(120_000);

  it('have the same bytes with and without data in the task, and are as good as alone with other pictures', async () => {
    const queue = (await kinds()).entries();
    const takeTurns = async () => {
      for (const [number, [kind, body]] of queue) {
        const input = await inputOf(body);
        const together = await outputsOf(input, [...PICTURES, ...DATA]);
        for (const [index, spec] of PICTURES.entries()) {
          const alone = await pictureOf(input, [spec]);
          // Over all kinds of input, each picture is made at least twice with each data operation.
          for (const [position, data] of DATA.entries()) {
            if ((number + index) % PICTURES.length !== position * (PICTURES.length / DATA.length)) continue;
            const beside = await pictureOf(input, [spec, data]);
            expect(Buffer.compare(beside, alone), `${kind}, ${spec.name}, ${data.name}`).to.equal(0);
          }
          await expectAsGood(`${kind}, ${spec.name}`, together[index]?.picture ?? null, alone);
        }
      }
    };
    await Promise.all([takeTurns(), takeTurns()]);
  });

  it('are as good as each picture made alone, for real photographs of every format', async function () {
    const photos = join(requireShared(this), 'photos');
    for (const file of [
      'cat-sunglasses.jpg',
      'waterfall-exif6.jpg',
      'astronaut.png',
      'bird-alpha.png',
      'espresso.webp',
    ]) {
      const input = await inputOf(readFileSync(join(photos, file)));
      const together = await outputsOf(input, [...PICTURES, ...DATA]);
      for (const [index, spec] of PICTURES.entries()) {
        await expectAsGood(`${file}, ${spec.name}`, together[index]?.picture ?? null, await pictureOf(input, [spec]));
      }
    }
  });
});
