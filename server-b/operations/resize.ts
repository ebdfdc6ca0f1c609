import type { Sharp } from 'sharp';
import { defaultFormat, holdsAlpha, holdsAnimation, type Size, scaledSize } from '../../shared/operations/format.ts';
import {
  boxFit,
  isQuarterTurn,
  type ResizeParameters,
  type ResizeSpec,
  resizedSize,
  scaleOfResize,
  transpose,
  worksByFrame,
} from '../../shared/operations/resize.ts';
import type { Product } from '../job.ts';
import { blur } from './blur.ts';
import { cover, coverScale, cropFirst, isTooLongToScale } from './cover.ts';
import type { Deadline } from './deadline.ts';
import { checkFormatHolds, encode, WHITE } from './encode.ts';
import { GifWriter } from './gif/gif-writer.ts';
import type { Picture } from './picture.ts';
import { openRaster, type Raster, rasterize, Strip } from './raster.ts';
import { anchorBeforeTurn, turn } from './turn.ts';

/** Position of the box in the turned and scaled picture, in pixels from the top left corner. */
interface Offset {
  readonly left: number;
  readonly top: number;
}

/**
 * The picture at exactly `resizedSize` pixels: mirrored, turned, scaled, blurred, sharpened. `cover` crops by
 * `gravity`, by default the centre. `contain` pads with `background`, by default transparent where the format has
 * alpha, else white. An animation stays one in GIF and WebP; any other format gets its first frame. Throws
 * IMAGE_TOO_LARGE when the format cannot hold the size, IMAGE_CORRUPT for an animation that is cut off, and the errors of
 * sharp.
 */
export async function resize(picture: Picture, parameters: ResizeSpec): Promise<Product> {
  const { format = defaultFormat(picture.header), quality, grayscale = false, lossless = false } = parameters;
  const { background = WHITE } = parameters;
  const size = resizedSize(picture, parameters);
  checkFormatHolds(format, size);
  if (holdsAnimation(format)) picture.checkEnd();
  const encoding = { format, quality, grayscale, lossless, background };
  if (picture.frames === 1 || !holdsAnimation(format)) {
    const made = await still(picture, parameters, size);
    return encode(await filter(made, parameters, size, picture.deadline), encoding);
  }
  const { delays, loop } = picture;
  if (format === 'gif') return writeGif(picture, parameters, size);
  return encode(await animate(picture, parameters, size), { ...encoding, animation: { delays, loop } });
}

/** All frames, one by one, into a GIF. */
async function writeGif(picture: Picture, parameters: ResizeParameters, size: Size): Promise<Product> {
  const { delays, loop, deadline } = picture;
  const writer = new GifWriter(size, { delays, loop }, deadline);
  for await (const frame of eachMade(picture, parameters, size)) await writer.add(frame);
  return { kind: 'picture', format: 'gif', ...size, ...(await writer.finish()) };
}

/** The first frame, turned, scaled and cropped or padded. */
async function still(picture: Picture, parameters: ResizeParameters, size: Size): Promise<Sharp> {
  const fit = boxFit(parameters);
  if (fit === 'fill') {
    const target = isQuarterTurn(parameters) ? transpose(size) : size;
    const pipeline = await picture.first(scaleOfResize(picture, parameters), target);
    return turn(pipeline.resize({ ...target, fit }), parameters);
  }
  if (isQuarterTurn(parameters)) return quarterTurned(picture, parameters, size);
  const box = { ...size, fit, background: paddingOf(picture, parameters) };
  if (fit === 'contain') return turn((await picture.first(scaleOfResize(picture, parameters))).resize(box), parameters);
  return turn(await cover(picture, size, parameters.gravity, anchorBeforeTurn(parameters)), parameters);
}

/**
 * Scales first, so that a JPEG shrinks on load, then turns, then crops or pads. One sharp pipeline cannot do that: it
 * crops to the box that it scales to, and here the box fits only the turned picture.
 */
async function quarterTurned(picture: Picture, parameters: ResizeParameters, size: Size): Promise<Sharp> {
  const scale = scaleOfResize(picture, parameters);
  const pipeline = await picture.first(scale);
  if (boxFit(parameters) === 'cover' && isTooLongToScale(picture, scale)) {
    return turn(cropFirst(pipeline, picture, transpose(size), anchorBeforeTurn(parameters)), parameters);
  }
  const scaled = await rasterize(pipeline.resize({ ...scaledSize(picture, scale), fit: 'fill' }));
  const background = paddingOf(picture, parameters);
  const box = { ...size, fit: boxFit(parameters), position: parameters.gravity ?? 'centre', background };
  return turn(openRaster(scaled, picture.deadline), parameters).resize(box);
}

/** All frames, as one tall strip where that does not mix rows of different frames, else one by one. */
async function animate(picture: Picture, parameters: ResizeParameters, size: Size): Promise<Sharp> {
  if (!worksByFrame(picture, parameters)) {
    const fit = boxFit(parameters);
    const box = { ...size, fit, position: parameters.gravity ?? 'centre', background: paddingOf(picture, parameters) };
    return (await picture.all()).resize(box).flop(parameters.flop ?? false);
  }
  const strip = new Strip(size, picture.frames);
  // The encoder makes the whole strip grey.
  for await (const frame of eachMade(picture, { ...parameters, grayscale: false }, size)) strip.add(frame);
  return openRaster(strip.raster, picture.deadline);
}

/** Each frame of the output, RGBA where something changed; grey with `grayscale`. */
async function* eachMade(picture: Picture, parameters: ResizeParameters, size: Size): AsyncGenerator<Raster> {
  const { grayscale = false, flop = false } = parameters;
  const isChanged = grayscale || flop || worksByFrame(picture, parameters);
  const offset = await findOffset(picture, parameters, size);
  for await (const frame of picture.eachFrame()) {
    if (!isChanged) {
      yield await frame.decodeOnce(size);
      continue;
    }
    const made = offset === null ? await still(frame, parameters, size) : await cutAt(frame, parameters, size, offset);
    const filtered = await filter(made, parameters, size, picture.deadline);
    const coloured = await rasterize(filtered.ensureAlpha());
    yield grayscale ? await greyed(coloured, picture.deadline) : coloured;
  }
}

/** An RGBA raster in grey, with its alpha, which sharp drops from grey pixels that it does not encode. */
async function greyed(coloured: Raster, deadline: Deadline): Promise<Raster> {
  const grey = await rasterize(openRaster(coloured, deadline).removeAlpha().grayscale());
  const pixels = new Uint8Array(coloured.pixels);
  for (let at = 0; at < grey.pixels.length; at += 1) {
    const value = grey.pixels[at] ?? 0;
    pixels[4 * at] = value;
    pixels[4 * at + 1] = value;
    pixels[4 * at + 2] = value;
  }
  return { ...coloured, pixels };
}

/** Where sharp crops the first frame; used for all frames, so that the crop does not jump. Null for a fixed gravity. */
async function findOffset(picture: Picture, parameters: ResizeParameters, size: Size): Promise<Offset | null> {
  const { gravity } = parameters;
  if (gravity !== 'attention' && gravity !== 'entropy') return null;
  const { info } = await (await still(picture, parameters, size)).raw().toBuffer({ resolveWithObject: true });
  return { left: -(info.cropOffsetLeft ?? 0), top: -(info.cropOffsetTop ?? 0) };
}

async function cutAt(frame: Picture, parameters: ResizeParameters, size: Size, offset: Offset): Promise<Sharp> {
  const turned = isQuarterTurn(parameters) ? transpose(size) : size;
  const scale = coverScale(frame, turned);
  const pipeline = (await frame.first(scale)).resize({ ...scaledSize(frame, scale), fit: 'fill' });
  const whole = await rasterize(turn(pipeline, parameters));
  const { width, height } = size;
  const left = Math.min(offset.left, whole.width - width);
  const top = Math.min(offset.top, whole.height - height);
  return openRaster(whole, frame.deadline).extract({ left, top, width, height });
}

/** Blurs, then sharpens, after all other steps, as libvips does. */
async function filter(made: Sharp, parameters: ResizeParameters, size: Size, deadline: Deadline): Promise<Sharp> {
  const { blur: sigma, sharpen = false } = parameters;
  const blurred = sigma === undefined ? made : await blur(made, sigma, size, deadline);
  if (sharpen === false) return blurred;
  return sharpen === true ? blurred.sharpen() : blurred.sharpen({ sigma: sharpen });
}

function paddingOf(picture: Picture, { format = defaultFormat(picture.header), background }: ResizeParameters) {
  return background ?? (holdsAlpha(format) ? { r: 255, g: 255, b: 255, alpha: 0 } : WHITE);
}
