import sharp, { type Sharp } from 'sharp';
import { rgbaToThumbHash } from 'thumbhash';
import type { Classifier } from '../server-b/operations/classifier.ts';
import { dominantColor } from '../server-b/operations/placeholder.ts';
import { CLASSIFY_SIDE, type ClassifySpec } from '../shared/operations/classify.ts';
import {
  defaultFormat,
  type Format,
  holdsAnimation,
  type InputFormat,
  inputFormatSchema,
  type Size,
} from '../shared/operations/format.ts';
import type { OutputSpec } from '../shared/operations/index.ts';
import { PLACEHOLDER_SIDE } from '../shared/operations/placeholder.ts';
import { type ResizeSpec, resizedSize } from '../shared/operations/resize.ts';

// The picture work alone, as sharp's manual has it: no checks, no limits, nothing shared between outputs. The encoders
// have the settings of server-b/operations/encode.ts, and the classifier is Darkroom's, so that the work is the same;
// only a GIF animation, which Darkroom writes itself, is sharp's, with the least effort.

const MODEL_SIDE = 224;
const MEAN = [0.485, 0.456, 0.406] as const;
const DEVIATION = [0.229, 0.224, 0.225] as const;

/** A picture that is worked on again and again. */
export interface Source extends Size {
  readonly body: Buffer;
  readonly format: InputFormat;
  readonly alpha: boolean;
  readonly frames: number;
}

/** Reads the header, once for all work on the picture. */
export async function readSource(body: Buffer): Promise<Source> {
  const { format, pages: frames = 1, autoOrient, hasAlpha: alpha } = await sharp(body).metadata();
  return { body, format: inputFormatSchema.parse(format === 'heif' ? 'avif' : format), ...autoOrient, alpha, frames };
}

/** Makes one output and drops it. Resolves with its number of bytes or labels. */
export async function perform(source: Source, spec: OutputSpec, classifier: Classifier | null): Promise<number> {
  switch (spec.operation) {
    case 'resize':
      return resize(source, spec);
    case 'circle':
      return circle(source, spec.size);
    case 'placeholder':
      return placeholder(source);
    case 'classify':
      return classify(source, spec, classifier);
  }
}

async function resize(source: Source, spec: ResizeSpec): Promise<number> {
  const format = spec.format ?? defaultFormat(source);
  const animated = source.frames > 1 && holdsAnimation(format);
  const pipeline = sharp(source.body, { animated }).autoOrient();
  const scaled = pipeline.resize({ ...resizedSize(source, spec), fit: 'fill' });
  return (await encode(scaled, format, animated).toBuffer()).length;
}

function encode(pipeline: Sharp, format: Format, animated: boolean): Sharp {
  switch (format) {
    case 'jpeg':
      return pipeline.flatten({ background: '#ffffff' }).jpeg();
    case 'png':
      return pipeline.png();
    case 'webp':
      return pipeline.webp();
    case 'avif':
      return pipeline.avif({ effort: 2 });
    case 'gif':
      return pipeline.gif({ reuse: false, ...(animated && { effort: 1 }) });
    case 'tiff':
      return pipeline.tiff({ compression: 'lzw', predictor: 'horizontal' });
  }
}

async function circle({ body }: Source, size: number): Promise<number> {
  const centre = size / 2;
  const mask = Buffer.from(
    `<svg width="${size}" height="${size}"><circle cx="${centre}" cy="${centre}" r="${centre}"/></svg>`,
  );
  const square = sharp(body).autoOrient().resize(size, size).ensureAlpha();
  return (
    await square
      .composite([{ input: mask, blend: 'dest-in' }])
      .png()
      .toBuffer()
  ).length;
}

async function placeholder({ body }: Source): Promise<number> {
  const box = { width: PLACEHOLDER_SIDE, height: PLACEHOLDER_SIDE, fit: 'inside' as const, withoutEnlargement: true };
  const small = sharp(body).autoOrient().resize(box).ensureAlpha().raw();
  const { data: pixels, info } = await small.toBuffer({ resolveWithObject: true });
  return rgbaToThumbHash(info.width, info.height, pixels).length + dominantColor({ pixels }).length;
}

async function classify({ body }: Source, spec: ClassifySpec, classifier: Classifier | null): Promise<number> {
  if (classifier === null) throw new Error('Expected a classifier for labels, received none');
  const margin = (CLASSIFY_SIDE - MODEL_SIDE) / 2;
  const pixels = await sharp(body)
    .autoOrient()
    .resize(CLASSIFY_SIDE, CLASSIFY_SIDE, { kernel: 'linear' })
    .extract({ left: margin, top: margin, width: MODEL_SIDE, height: MODEL_SIDE })
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw()
    .toBuffer();
  const plane = MODEL_SIDE * MODEL_SIDE;
  const input = new Float32Array(3 * plane);
  for (const channel of [0, 1, 2] as const) {
    for (let pixel = 0; pixel < plane; pixel += 1) {
      input[channel * plane + pixel] = ((pixels[pixel * 3 + channel] ?? 0) / 255 - MEAN[channel]) / DEVIATION[channel];
    }
  }
  return (await classifier.classify(input, spec.top_k)).length;
}
