import type { Contradiction } from './definition.ts';
import { choosesLoss, type Format } from './format.ts';
import { wholeNumber, yesOrNo } from './parameters.ts';

/** Parameters of every operation that makes a picture, in addition to `format`. */
export const encodingParameters = {
  quality: wholeNumber(1, 100).optional(),
  grayscale: yesOrNo.optional(),
  lossless: yesOrNo.optional(),
};

/** Only WebP and AVIF have a lossless mode. An omitted format may be one of them, so that is not a contradiction. */
export function encodingContradiction({
  format,
  lossless,
}: {
  readonly format?: Format | undefined;
  readonly lossless?: boolean | undefined;
}): Contradiction | null {
  if (lossless !== true || format === undefined || choosesLoss(format)) return null;
  return { expected: 'webp or avif as the format with lossless', received: format };
}
