import { z } from 'zod';
import type { ImageHeader } from '../image-header.ts';
import { type OperationDefinition, outputSchema, type Plan } from './definition.ts';
import { wholeNumber } from './parameters.ts';

/** The number of classes when a request has no top_k. */
export const DEFAULT_TOP_K = 5;
/** The shorter side is scaled to this many pixels before the centre is cut out (the model's page in onnx/models). */
export const CLASSIFY_SIDE = 256;

const parameters = { top_k: wholeNumber(1, 100).default(DEFAULT_TOP_K) };

/** An output with the `top_k` most probable ImageNet-1k classes of the picture. */
export const classifySchema = outputSchema('classify', parameters);
export type ClassifySpec = z.infer<typeof classifySchema>;
/** The parameters alone. */
export const classifyParameters = z.strictObject(parameters);
export type ClassifyParameters = z.infer<typeof classifyParameters>;

/** One class that the model has found. */
export const labelSchema = z.object({
  /** Index in the model's 1000 outputs. */
  index: z.int().nonnegative(),
  /** WordNet id, such as n02123045. */
  wnid: z.string(),
  /** The class's first name, such as "tabby". */
  label: z.string(),
  /** Softmax probability, 0 to 1. */
  probability: z.number().min(0).max(1),
});
export type Label = z.infer<typeof labelSchema>;

/** The JSON of a classification, most probable class first. */
export const classificationSchema = z.object({ model: z.string(), labels: z.array(labelSchema) });
export type Classification = z.infer<typeof classificationSchema>;

/** Classifies the picture. */
export const classify = {
  name: 'classify',
  gives: 'data',
  schema: classifySchema,
  data: classificationSchema,
  contradiction: () => null,
  plan: planClassify,
} as const satisfies OperationDefinition<ClassifySpec> & { readonly schema: typeof classifySchema };

/** The classification that an output carries; null for any other output. */
export function readClassification(output: object): Classification | null {
  return classificationSchema.safeParse(output).data ?? null;
}

function planClassify({ width, height }: ImageHeader): Plan {
  return {
    drawing: null,
    scale: CLASSIFY_SIDE / Math.min(width, height),
    animated: false,
    whole: null,
    workMs: 0,
    workBytes: 0,
  };
}
