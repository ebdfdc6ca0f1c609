import type { Sharp } from 'sharp';
import { DarkroomError } from '../../shared/errors.ts';
import { CLASSIFY_SIDE, type Classification, type ClassifySpec } from '../../shared/operations/classify.ts';
import type { Size } from '../../shared/operations/format.ts';
import type { Product } from '../job.ts';
import type { ModelFiles } from '../model/find.ts';
import { Classifier, MODEL_SIDE } from './classifier.ts';
import { CENTRE, cropFirst, isTooLongToScale } from './cover.ts';
import { centreWindow } from './model-window.ts';
import type { Picture } from './picture.ts';
import { openRaster, type Raster, rasterize } from './raster.ts';

/**
 * Mean and standard deviation of ImageNet's red, green and blue, of values from 0 to 1 (the model's page in the zoo).
 */
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

/** The model that this thread has loaded. Each thread has its own session and keeps it until the model changes. */
let loaded: { readonly key: string; readonly classifier: Promise<Classifier> } | null = null;

/**
 * The `top_k` most probable ImageNet classes of the first frame, flattened on white. Throws MODEL_UNAVAILABLE when
 * there is no model or it cannot be loaded, and the errors of sharp.
 */
export async function classify(picture: Picture, parameters: ClassifySpec, model: ModelFiles | null): Promise<Product> {
  if (model === null) throw unavailable('There is no classifier.');
  const classifier = await classifierOf(model);
  picture.deadline.check();
  const labels = await classifier.classify(await modelInput(picture), parameters.top_k);
  const data: Classification = { model: model.name, labels };
  return { kind: 'data', data };
}

/**
 * The model's input: shorter side scaled to 256, centre 224 × 224, flattened on white, normalized, channel after channel
 * (CHW). The pixels are those that Pillow's bilinear filter gives, to 2 of 255, except where the decoder shrinks on load.
 */
export async function modelInput(picture: Picture): Promise<Float32Array> {
  const { pixels } = await modelPixels(picture);
  const plane = MODEL_SIDE * MODEL_SIDE;
  const values = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel += 1) {
    const mean = MEAN[channel] ?? 0;
    const deviation = DEVIATION[channel] ?? 1;
    for (let index = 0; index < plane; index += 1) {
      values[channel * plane + index] = ((pixels[index * 3 + channel] ?? 0) / 255 - mean) / deviation;
    }
  }
  return values;
}

async function modelPixels(picture: Picture): Promise<Raster> {
  const scale = CLASSIFY_SIDE / picture.shortSide;
  const { scaled, left, top, side } = centreWindow(picture, CLASSIFY_SIDE, MODEL_SIDE);
  const part = { left, top, width: side, height: side };
  const first = (await picture.first(scale, scaled)).flatten({ background: '#ffffff' });
  if (isTooLongToScale(picture, scale)) {
    const margin = (CLASSIFY_SIDE - MODEL_SIDE) / 2;
    const square = cropFirst(first, picture, { width: CLASSIFY_SIDE, height: CLASSIFY_SIDE }, CENTRE);
    return rasterize(square.extract({ ...part, left: margin, top: margin }));
  }
  if (scale <= 1) return rasterize(first.resize({ ...scaled, fit: 'fill', kernel: 'linear' }).extract(part));
  const enlarged = await rasterize(enlarge(first, picture, scaled));
  return rasterize(openRaster(enlarged, picture.deadline).extract(part));
}

/**
 * Enlarges with the bilinear filter. sharp's resize shifts an enlarged picture by half a pixel (libvips' vips_resize sets
 * idx and idy, but neither odx nor ody).
 */
function enlarge(pipeline: Sharp, { width, height }: Size, scaled: Size): Sharp {
  const matrix: [number, number, number, number] = [scaled.width / width, 0, 0, scaled.height / height];
  return pipeline.affine(matrix, { interpolator: 'bilinear', idx: 0.5, idy: 0.5, odx: -0.5, ody: -0.5 });
}

async function classifierOf(model: ModelFiles): Promise<Classifier> {
  const key = `${model.sha256} ${model.synsetSha256}`;
  // The thread's other job may still use an older session, so the garbage collector releases it.
  const current = loaded?.key === key ? loaded : { key, classifier: Classifier.load(model) };
  loaded = current;
  try {
    return await current.classifier;
  } catch (error) {
    if (loaded === current) loaded = null;
    throw unavailable('The classifier cannot be loaded.', error);
  }
}

function unavailable(reason: string, cause?: unknown): DarkroomError {
  const advice = 'Run `darkroom model install <file>` with an .onnx file that has synset.txt beside it.';
  return new DarkroomError('MODEL_UNAVAILABLE', `${reason} ${advice}`, { cause });
}
