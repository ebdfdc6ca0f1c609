import type { Sharp } from 'sharp';
import { holdsAnimation, type ResizeParameters, resizedSize, type Size } from '../../shared/operations.ts';
import type { PictureOutput } from '../job.ts';
import type { Picture } from './decode.ts';
import { checkFormatHolds, encode, holdsAlpha } from './encode.ts';

const WHITE = { r: 255, g: 255, b: 255 };

/**
 * The picture at exactly `resizedSize` pixels. `cover` crops about the centre; `contain` pads, transparent where the
 * format has alpha, else white. An animation stays one in gif and webp; any other format gets its first frame.
 * Throws IMAGE_TOO_LARGE when the format cannot hold the size, else what sharp throws.
 */
export async function resize(picture: Picture, parameters: ResizeParameters): Promise<PictureOutput> {
  const { format = picture.format, quality, grayscale = false } = parameters;
  const size = resizedSize(picture, parameters);
  checkFormatHolds(format, size);
  const animated = picture.frames > 1 && holdsAnimation(format);
  const encoding = { format, quality, grayscale };
  if (!animated) return encode(still(picture, parameters, size), 'resize', encoding);
  const box = { ...size, fit: fitOf(parameters), background: paddingOf(picture, parameters) };
  const animation = { delays: picture.delays, loop: picture.loop };
  return encode((await picture.all()).resize(box), 'resize', { ...encoding, animation });
}

/** How many times the picture's own size a resize draws it, the larger of both ways. */
export function scaleOfResize(picture: Size, parameters: ResizeParameters): number {
  const { width, height } = resizedSize(picture, parameters);
  const [across, down] = [width / picture.width, height / picture.height];
  return fitOf(parameters) === 'contain' ? Math.min(across, down) : Math.max(across, down);
}

function still(picture: Picture, parameters: ResizeParameters, size: Size): Sharp {
  const fit = fitOf(parameters);
  if (fit === 'cover') return picture.firstCovering(size);
  const background = paddingOf(picture, parameters);
  return picture.first(scaleOfResize(picture, parameters)).resize({ ...size, fit, background });
}

/** Only a whole box can crop or pad; everything else is drawn to the computed size, so that its rounding holds. */
function fitOf({ width, height, fit }: ResizeParameters): 'cover' | 'contain' | 'fill' {
  const boxed = width !== undefined && height !== undefined;
  return boxed && (fit === 'cover' || fit === 'contain') ? fit : 'fill';
}

function paddingOf(picture: Picture, { format = picture.format }: ResizeParameters) {
  return { ...WHITE, alpha: holdsAlpha(format) ? 0 : 1 };
}
