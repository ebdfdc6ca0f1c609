import type { Contradiction } from './definition.ts';
import { choosesLoss, type Format } from './format.ts';
import { wholeNumber, yesOrNo } from './parameters.ts';

/** What every operation that draws takes beside its format. */
export const encodingParameters = {
  quality: wholeNumber(1, 100).optional(),
  grayscale: yesOrNo.optional(),
  lossless: yesOrNo.optional(),
};

/** Lossless is a choice in WebP and AVIF alone; a format that is left out may be one of them. */
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
