import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { z } from 'zod';
import { findModel, type ModelFiles } from '../../../server-b/model/find.ts';
import { Classifier, softmax } from '../../../server-b/operations/classifier.ts';
import { classify, modelInput } from '../../../server-b/operations/classify.ts';
import { type Label, readClassification } from '../../../shared/operations/classify.ts';
import { bilinearSquare } from '../../support/bilinear.ts';
import { decode, openPicture, plain, waves } from '../../support/pictures.ts';
import { requireShared } from '../../support/shared.ts';
import { integerModel, leftModel, quantizedModel, TINY_CLASSES, writeTinyModel } from '../../support/tiny-model.ts';

const PLANE = 224 * 224;
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];
const photosSchema = z.array(z.object({ file: z.string(), expected: z.array(z.string()) }));

describe('classify', () => {
  let folder: string;
  let tiny: ModelFiles;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-classify-'));
    tiny = await modelAt(await writeTinyModel(folder));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it('returns the top_k most probable classes, best first', async () => {
    const labels = await labelsOf(await plain(300, 300, '#00ff00'), tiny, 3);
    expect(labels).to.have.length(3);
    expect(labels[0]).to.include({ index: TINY_CLASSES.green, wnid: 'n00000001', label: 'green' });
    const probabilities = labels.map((label) => label.probability);
    expect(probabilities).to.deep.equal(probabilities.toSorted((one, other) => other - one));
    expect(await labelsOf(await plain(300, 300, '#ff0000'), tiny, 100)).to.have.length(100);
  });

  it('returns the first name of each class, and the name of the model', async () => {
    const picture = await openPicture(await plain(300, 300, '#ff0000'));
    const product = await classify(picture, { name: 'classify', operation: 'classify', top_k: 1 }, tiny);
    expect(product).to.have.property('kind', 'data');
    expect(product).to.have.nested.property('data.model', 'tiny');
    expect(product).to.have.nested.property('data.labels[0].label', 'red');
  });

  it('normalizes red, green and blue in separate planes', async () => {
    const values = await modelInput(await openPicture(await plain(500, 300, '#336699')));
    const expected = [(51 / 255 - 0.485) / 0.229, (102 / 255 - 0.456) / 0.224, (153 / 255 - 0.406) / 0.225];
    expect(values).to.have.length(3 * PLANE);
    for (const [channel, value] of expected.entries()) {
      expect(values[channel * PLANE]).to.be.closeTo(value, 0.02);
      expect(values[(channel + 1) * PLANE - 1]).to.be.closeTo(value, 0.02);
    }
  });

  it('uses the central 224 pixels of the picture scaled to a shorter side of 256', async () => {
    const outer = { create: { width: 512, height: 256, channels: 3 as const, background: '#ff0000' } };
    const input = await plain(224, 224, '#0000ff');
    const framed = await sharp(outer).composite([{ input }]).png().toBuffer();
    const values = await modelInput(await openPicture(framed));
    const blue = values.subarray(2 * PLANE);
    const brightest = (255 / 255 - 0.406) / 0.225;
    expect(blue.every((value) => Math.abs(value - brightest) < 0.01)).to.equal(true);
  });

  it('has the pixels of an exact bilinear filter, to 3 of 255', async () => {
    for (const [width, height] of [
      [500, 375],
      [260, 301],
      [200, 150],
    ] as const) {
      const picture = await waves(width, height).removeAlpha().png().toBuffer();
      const values = await modelInput(await openPicture(picture));
      const expected = bilinearSquare(await decode(picture), 256, 224);
      const differences = expected.map((level, index) => {
        const channel = Math.floor(index / PLANE);
        return Math.abs(((values[index] ?? 0) * (DEVIATION[channel] ?? 1) + (MEAN[channel] ?? 0)) * 255 - level);
      });
      const what = `${width}×${height}`;
      expect(
        differences.reduce((most, one) => Math.max(most, one), 0),
        what,
      ).to.be.below(3);
      expect(differences.reduce((sum, one) => sum + one, 0) / differences.length, what).to.be.below(0.5);
    }
  });

  it('flattens transparency on white', async () => {
    const clear = { create: { width: 300, height: 300, channels: 4 as const, background: '#00000000' } };
    const values = await modelInput(await openPicture(await sharp(clear).png().toBuffer()));
    expect(values[0]).to.be.closeTo((1 - 0.485) / 0.229, 0.01);
  });

  it('accepts grey, tiny and very long pictures', async () => {
    const bodies = [
      await waves(300, 300).grayscale().toColourspace('b-w').png().toBuffer(),
      await plain(1, 1, '#0000ff'),
      await plain(16_000, 1, '#0000ff'),
    ];
    for (const body of bodies) expect(await labelsOf(body, tiny, 1)).to.have.length(1);
  });

  it('loads another model when it gets one', async () => {
    const other = join(folder, 'other');
    const path = await writeTinyModel(other);
    const synset = (await readFile(join(other, 'synset.txt'), 'utf8')).replace('green', 'verdant');
    await writeFile(join(other, 'synset.txt'), synset);
    const body = await plain(300, 300, '#00ff00');
    expect((await labelsOf(body, tiny, 1))[0]).to.include({ label: 'green' });
    expect((await labelsOf(body, await modelAt(path), 1))[0]).to.include({ label: 'verdant' });
  });

  it('throws MODEL_UNAVAILABLE, with what to do, without a model and with one that cannot be loaded', async () => {
    const picture = await openPicture(await plain(300, 300, '#00ff00'));
    const broken = join(folder, 'broken.onnx');
    await writeFile(broken, 'no model');
    for (const model of [null, { ...tiny, onnx: broken, sha256: 'another' }]) {
      const error = await classify(picture, { name: 'classify', operation: 'classify', top_k: 1 }, model).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).to.include({ code: 'MODEL_UNAVAILABLE' });
      expect(error).to.have.property('message').that.includes('darkroom model install <file>');
      expect(error).to.have.property('message').that.does.not.include(folder);
    }
  });

  it('does not round between the layers of a model in QDQ form', async () => {
    // Rounded to multiples of 4, all three channels would be 0.
    const classifier = await load(join(folder, 'qdq'), quantizedModel({ scale: 4, zeroPoint: 128 }));
    const labels = await classifier.classify(channels(0.5, 1, 1.5), 3);
    expect(labels.map(({ index }) => index)).to.deep.equal([TINY_CLASSES.blue, TINY_CLASSES.green, TINY_CLASSES.red]);
    const odds = (labels[0]?.probability ?? 0) / (labels[1]?.probability ?? 1);
    expect(odds).to.be.closeTo(Math.exp(4 * 0.5), 0.01);
    await classifier.release();
  });

  it('adds products of 8-bit numbers without saturation, whatever the processor has', async () => {
    const classifier = await load(join(folder, 'integer'), integerModel());
    // Both sums are 2 × 127 × 255; the first is 32,767 where two products are added in 16 bits with saturation.
    const labels = await classifier.classify(channels(255, 255, 255), 2);
    for (const { probability } of labels) expect(probability).to.be.closeTo(0.5, 1e-6);
    await classifier.release();
  });

  it('looks at the mirror image, too, when the best class is not sure', async () => {
    const classifier = await load(join(folder, 'left'), leftModel());
    const redOnTheLeft = (red: number) =>
      Float32Array.from({ length: 3 * PLANE }, (_, index) => (index < PLANE && index % 224 < 112 ? red : 0));
    // The logit of red is four times the value; all 999 others are 0.
    for (const [logit, counted] of [
      [7, 3.5],
      [9.1, 9.1],
    ] as const) {
      const [best] = await classifier.classify(redOnTheLeft(logit / 4), 1);
      expect(best).to.include({ index: TINY_CLASSES.red });
      expect(best?.probability, `${logit}`).to.be.closeTo(Math.exp(counted) / (Math.exp(counted) + 999), 1e-3);
    }
    const seen = await classifier.classify(redOnTheLeft(1), 3);
    const mirror = Float32Array.from({ length: 3 * PLANE }, (_, i) => (i < PLANE && i % 224 >= 112 ? 1 : 0));
    expect(await classifier.classify(mirror, 3)).to.deep.equal(seen);
    await classifier.release();
  });

  it('has probabilities that sum to 1 for logits of any size', () => {
    for (const logits of [
      [0, 0, 0],
      [1000, -1000, 999],
      [-5, 3, 2],
    ]) {
      const sum = softmax(Float32Array.from(logits)).reduce((total, value) => total + value, 0);
      expect(sum).to.be.closeTo(1, 1e-12);
    }
  });

  it('labels each real photograph correctly with the real model', async function () {
    this.timeout(180_000);
    const shared = requireShared(this);
    const model = await modelAt(join(shared, 'models', 'mobilenetv2-12-qdq.onnx'));
    expect(model.official).to.equal(true);
    const photos = photosSchema.parse(JSON.parse(await readFile(join(shared, 'photos', 'photos.json'), 'utf8')));
    for (const { file, expected } of photos.filter((photo) => photo.expected.length > 0)) {
      const [best] = await labelsOf(await readFile(join(shared, 'photos', file)), model, 5);
      expect(best?.label, file).to.be.oneOf(expected);
    }
  });
});

async function load(folder: string, file: Uint8Array): Promise<Classifier> {
  const onnx = await writeTinyModel(folder, 'tiny.onnx', file);
  return Classifier.load({ onnx, synset: join(folder, 'synset.txt') });
}

/** An input with one value in each channel. */
function channels(...values: [number, number, number]): Float32Array {
  return Float32Array.from({ length: 3 * PLANE }, (_, index) => values[Math.floor(index / PLANE)] ?? 0);
}

async function modelAt(path: string): Promise<ModelFiles> {
  const model = await findModel({ model: path, dataDir: '.' });
  if (model === null) throw new Error(`Expected a model at ${path}`);
  return model;
}

async function labelsOf(body: Uint8Array, model: ModelFiles, count: number): Promise<Label[]> {
  const spec = { name: 'classify', operation: 'classify', top_k: count } as const;
  const product = await classify(await openPicture(body), spec, model);
  return product.kind === 'data' ? (readClassification(product.data)?.labels ?? []) : [];
}
