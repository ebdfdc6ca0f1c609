import { z } from 'zod';
import type { ImageHeader } from '../image-header.ts';
import { NO_DATA, type OperationDefinition, outputSchema, type Plan } from './definition.ts';
import { encodingContradiction, encodingParameters } from './encoding.ts';
import type { Format } from './format.ts';
import { oneOf, side } from './parameters.ts';

/** Formats that hold a circle's transparent corners and its smooth edge. */
export const CIRCLE_FORMATS = ['png', 'webp', 'avif'] as const;
/** Bytes of a pixel while the circle is cut: RGBA, 8 bits each. */
const RASTER_PIXEL_BYTES = 4;

const parameters = { size: side, format: oneOf(CIRCLE_FORMATS).optional(), ...encodingParameters };

/** An output that is the centred circle whose diameter is the shorter side, scaled to `size` × `size` pixels. */
export const circleSchema = outputSchema('circle', parameters);
export type CircleSpec = z.infer<typeof circleSchema>;
/** The parameters alone. */
export const circleParameters = z.strictObject(parameters);
export type CircleParameters = z.infer<typeof circleParameters>;

/** The centred circle, transparent outside. */
export const circle = {
  name: 'circle',
  gives: 'picture',
  schema: circleSchema,
  data: NO_DATA,
  contradiction: ({ format = 'png', lossless }: CircleSpec) => encodingContradiction({ format, lossless }),
  plan: planCircle,
} as const satisfies OperationDefinition<CircleSpec> & { readonly schema: typeof circleSchema };

/** The circle's format when `asked` applies to other pictures, too: `asked` when it is WebP or AVIF, else PNG. */
export function circleFormat(asked: Format | undefined): (typeof CIRCLE_FORMATS)[number] {
  return CIRCLE_FORMATS.find((format) => format === asked) ?? 'png';
}

function planCircle({ width, height }: ImageHeader, { size, format = 'png', lossless = false }: CircleSpec): Plan {
  return {
    drawing: { width: size, height: size, frames: 1, format, transparent: true, lossless },
    scale: size / Math.min(width, height),
    animated: false,
    whole: null,
    workMs: 0,
    workBytes: RASTER_PIXEL_BYTES * size * size,
  };
}
