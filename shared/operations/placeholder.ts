import { z } from 'zod';
import type { ImageHeader } from '../image-header.ts';
import { type OperationDefinition, outputSchema, type Plan } from './definition.ts';

/** Longer side in pixels of the picture that is hashed; ThumbHash takes at most 100 (https://evanw.github.io/thumbhash/). */
export const PLACEHOLDER_SIDE = 100;

/** An output that a client can show until the picture is loaded. */
export const placeholderSchema = outputSchema('placeholder', {});
export type PlaceholderSpec = z.infer<typeof placeholderSchema>;
/** The parameters alone: there are none. */
export const placeholderParameters = z.strictObject({});
export type PlaceholderParameters = z.infer<typeof placeholderParameters>;

/** The JSON of a placeholder. */
export const placeholderDataSchema = z.object({
  /** ThumbHash of the picture in base64, about 28 bytes. */
  thumbhash: z.string(),
  /** The most frequent colour, such as `#1a2b3c`. */
  dominant_color: z.string().regex(/^#[0-9a-f]{6}$/),
  /** Width divided by height, upright. */
  aspect_ratio: z.number().positive(),
});
export type PlaceholderData = z.infer<typeof placeholderDataSchema>;

/** A few bytes that describe the picture roughly. */
export const placeholder = {
  name: 'placeholder',
  gives: 'data',
  schema: placeholderSchema,
  data: placeholderDataSchema,
  contradiction: () => null,
  plan: planPlaceholder,
} as const satisfies OperationDefinition<PlaceholderSpec> & { readonly schema: typeof placeholderSchema };

function planPlaceholder({ width, height }: ImageHeader): Plan {
  return {
    drawing: null,
    scale: Math.min(1, PLACEHOLDER_SIDE / Math.max(width, height)),
    animated: false,
    whole: null,
    workMs: 0,
    workBytes: 0,
  };
}
