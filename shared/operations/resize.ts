import { z } from 'zod';
import { pipelineMs } from '../animation-time.ts';
import type { ImageHeader } from '../image-header.ts';
import { FITS, GRAVITIES, MAX_SCALE_FACTOR } from './bounds.ts';
import { type Contradiction, NO_DATA, type OperationDefinition, outputSchema, type Plan } from './definition.ts';
import { encodingContradiction, encodingParameters } from './encoding.ts';
import { defaultFormat, FORMATS, holdsAlpha, holdsAnimation, type Size, scaledSide, scaledSize } from './format.ts';
import { colour, numberIn, oneOf, side, yesOrNo } from './parameters.ts';

/** Bytes of a pixel that is neither decoded nor encoded: RGBA, 8 bits each. */
const RASTER_PIXEL_BYTES = 4;
/** Rows that a blur reads for one pixel, for each unit of sigma: three above and three below. */
const BLUR_ROWS = 6;
/** A stronger blur, in pixels of sigma, is done on a smaller picture. */
export const LARGEST_WHOLE_BLUR = 100;

const parameters = {
  scale_factor: z
    .number()
    .positive()
    .max(MAX_SCALE_FACTOR)
    .meta({ expected: `a number in (0, ${MAX_SCALE_FACTOR}]` })
    .optional(),
  width: side.optional(),
  height: side.optional(),
  fit: oneOf(FITS).optional(),
  gravity: oneOf(GRAVITIES).optional(),
  background: colour.optional(),
  rotate: z.literal([0, 90, 180, 270]).meta({ expected: 'one of 0, 90, 180, 270' }).optional(),
  flip: yesOrNo.optional(),
  flop: yesOrNo.optional(),
  blur: numberIn(0.3, 1000).optional(),
  sharpen: z
    .union([z.boolean(), z.number().min(0.000001).max(10)])
    .meta({ expected: 'true, false or a number in [0.000001, 10]' })
    .optional(),
  format: oneOf(FORMATS).optional(),
  ...encodingParameters,
};

/** An output that is the picture resized by a factor, or to a width and/or height in pixels. */
export const resizeSchema = outputSchema('resize', parameters);
export type ResizeSpec = z.infer<typeof resizeSchema>;
/** The parameters alone. */
export const resizeParameters = z.strictObject(parameters);
export type ResizeParameters = z.infer<typeof resizeParameters>;

/** Resize, with turning, cropping, filters and another format. */
export const resize = {
  name: 'resize',
  gives: 'picture',
  schema: resizeSchema,
  data: NO_DATA,
  contradiction({ name: _name, operation: _operation, ...given }: ResizeSpec) {
    if (Object.values(given).every((value) => value === undefined)) {
      return { expected: 'at least one parameter (scale_factor=1 only re-encodes)', received: 'none' };
    }
    return resizeContradiction(given);
  },
  plan: planResize,
} as const satisfies OperationDefinition<ResizeSpec> & { readonly schema: typeof resizeSchema };

/** The first pair of parameters that exclude each other, or parameter without effect: both are a client's mistake. */
export function resizeContradiction(given: ResizeParameters): Contradiction | null {
  const { scale_factor, width, height, fit, gravity, background, format } = given;
  const boxed = width !== undefined || height !== undefined;
  if (scale_factor !== undefined && boxed) {
    return { expected: 'scale_factor or width and height', received: 'both' };
  }
  if (fit !== undefined && !boxed) return { expected: 'width or height with fit', received: 'neither' };
  if (gravity !== undefined && (fit !== 'cover' || width === undefined || height === undefined)) {
    return { expected: 'fit=cover with width and height beside gravity', received: 'another box' };
  }
  if (background !== undefined && fit !== 'contain' && format !== undefined && holdsAlpha(format)) {
    return { expected: 'fit=contain or a format without transparency beside background', received: format };
  }
  return encodingContradiction(given);
}

/**
 * The output size of a resize, for an upright picture of `input` pixels: max(1, round(side × factor)) for a factor; for
 * a box, the box itself (cover, contain, fill) or the picture scaled to lie inside or outside of it. If only one side
 * is given, the other keeps the aspect ratio. The picture is turned first.
 */
export function resizedSize(input: Size, given: ResizeParameters): Size {
  const { scale_factor: factor, width, height, fit = 'inside' } = given;
  const turned = isQuarterTurn(given) ? transpose(input) : input;
  if (factor !== undefined) return scaledSize(turned, factor);
  const byWidth = (width ?? turned.width) / turned.width;
  const byHeight = (height ?? turned.height) / turned.height;
  if (width === undefined && height === undefined) return turned;
  if (width === undefined) return { width: scaledSide(turned.width, byHeight), height: height ?? turned.height };
  if (height === undefined) return { width, height: scaledSide(turned.height, byWidth) };
  if (fit !== 'inside' && fit !== 'outside') return { width, height };
  return scaledSize(turned, fit === 'inside' ? Math.min(byWidth, byHeight) : Math.max(byWidth, byHeight));
}

/**
 * sharp's fit for the output: only a box with both sides crops or pads; otherwise the picture is scaled to its size.
 */
export function boxFit({ width, height, fit }: ResizeParameters): 'cover' | 'contain' | 'fill' {
  const boxed = width !== undefined && height !== undefined;
  return boxed && (fit === 'cover' || fit === 'contain') ? fit : 'fill';
}

/** True when width and height change places. */
export function isQuarterTurn({ rotate }: ResizeParameters): boolean {
  return rotate === 90 || rotate === 270;
}

/** Width and height exchanged. */
export function transpose({ width, height }: Size): Size {
  return { width: height, height: width };
}

/** Scale of the picture in the output: the larger of the horizontal and vertical scale; the smaller if it is padded. */
export function scaleOfResize(input: Size, given: ResizeParameters): number {
  const { width, height } = resizedSize(input, given);
  const turned = isQuarterTurn(given) ? transpose(input) : input;
  const [across, down] = [width / turned.width, height / turned.height];
  return boxFit(given) === 'contain' ? Math.min(across, down) : Math.max(across, down);
}

function planResize(header: ImageHeader, given: ResizeSpec): Plan {
  const { format = defaultFormat(header), blur = 0, lossless = false } = given;
  const size = resizedSize(header, given);
  const animated = header.frames > 1 && holdsAnimation(format);
  const padded = boxFit(given) === 'contain';
  const pixels = size.width * size.height;
  return {
    drawing: {
      ...size,
      frames: animated ? header.frames : 1,
      format,
      transparent: holdsAlpha(format) && (header.alpha || padded),
      lossless,
    },
    scale: scaleOfResize(header, given),
    animated,
    whole: isWhole(header, given) && !animated ? size : null,
    workMs: animated ? frameMs(header, given, size) * header.frames : 0,
    workBytes:
      (animated ? stripBytes(header, given, size) : 0) +
      (isTurned(given) ? RASTER_PIXEL_BYTES * pixels : 0) +
      (blur > LARGEST_WHOLE_BLUR ? RASTER_PIXEL_BYTES * pixels : 0) +
      RASTER_PIXEL_BYTES * size.width * Math.min(size.height, Math.ceil(BLUR_ROWS * blur)),
  };
}

/**
 * Memory of all frames before and after they are made one by one, in bytes; 0 where they stay one strip in libvips. The
 * frames of a GIF are encoded at once; noise, while the memory for it grows, takes as much as its pixels.
 */
function stripBytes(header: ImageHeader, given: ResizeParameters, { width, height }: Size): number {
  if (!worksByFrame(header, given) && (given.format ?? defaultFormat(header)) !== 'gif') return 0;
  return RASTER_PIXEL_BYTES * header.frames * (header.width * header.height + width * height);
}

/** CPU to make one frame of an animation from the decoded one, without the encoder, in milliseconds. */
function frameMs(header: ImageHeader, given: ResizeParameters, { width, height }: Size): number {
  const { blur = 0, sharpen = false, grayscale = false, flop = false, gravity } = given;
  if (!worksByFrame(header, given) && !grayscale && !flop) return 0;
  const filters = { blur: Math.min(blur, LARGEST_WHOLE_BLUR), sharpen: typeof sharpen === 'number' };
  const cutting = gravity === 'attention' || gravity === 'entropy' || isQuarterTurn(given) ? 2 : 0;
  const blurring = blur > LARGEST_WHOLE_BLUR ? 2 : 0;
  const padding = boxFit(given) === 'contain' ? 1 : 0;
  const steps = 1 + cutting + blurring + padding + (grayscale ? 1 : 0);
  return pipelineMs({ from: header, to: { width, height }, alpha: header.alpha, steps, ...filters });
}

/**
 * True when each frame of an animation must be made alone, because scaling, turning or filtering one tall strip mixes
 * rows of different frames.
 */
export function worksByFrame(input: Size, given: ResizeParameters): boolean {
  const { width, height } = resizedSize(input, given);
  return width !== input.width || height !== input.height || mixesRows(given);
}

/** True when an output row depends on input rows other than its own, apart from scaling. */
function mixesRows(given: ResizeParameters): boolean {
  const { blur, sharpen = false, gravity } = given;
  return isTurned(given) || blur !== undefined || sharpen !== false || gravity === 'attention' || gravity === 'entropy';
}

/** True when the rows of the picture change their order. */
function isTurned({ rotate = 0, flip = false }: ResizeParameters): boolean {
  return rotate !== 0 || flip;
}

/** True when the output's pixels are the input's, only scaled. sharp flattens and tones before it resamples. */
function isWhole({ alpha }: ImageHeader, given: ResizeParameters): boolean {
  const { format, flop = false, grayscale = false } = given;
  const flattened = alpha && format !== undefined && !holdsAlpha(format);
  return boxFit(given) === 'fill' && !mixesRows(given) && !flop && !grayscale && !flattened;
}
