import { z } from 'zod';
import { DarkroomError } from '../errors.ts';
import { circleFormat } from './circle.ts';
import { classifyParameters, DEFAULT_TOP_K } from './classify.ts';
import type { Contradiction } from './definition.ts';
import { encodingContradiction } from './encoding.ts';
import { choosesLoss } from './format.ts';
import type { OutputSpec } from './index.ts';
import { side, yesOrNo } from './parameters.ts';
import { resizeContradiction, resizeParameters } from './resize.ts';

// The short form of a request: single fields instead of a list. They describe at most one output of each operation.

/** The fields that describe outputs when a request has no `outputs`. */
export const flatFieldsSchema = z.strictObject({
  ...resizeParameters.shape,
  circle: side.optional(),
  classify: yesOrNo.optional(),
  top_k: classifyParameters.shape.top_k.unwrap().optional(),
});
export type FlatFields = z.infer<typeof flatFieldsSchema>;

/** Fields that apply to every picture of a request; without other fields they make none. */
const ENCODING = ['format', 'quality', 'grayscale'] as const;
/** Fields that change a resized picture, so a request with them also needs a size. */
const CHANGES = ['background', 'rotate', 'flip', 'flop', 'blur', 'sharpen', 'lossless'] as const;

/** The first field that describes a picture or its labels; `classify=false` describes neither. */
export function findFlatField(fields: FlatFields): string | undefined {
  const given = Object.entries(fields).find(
    ([name, value]) => value !== undefined && !(name === 'classify' && value === false),
  );
  return given?.[0];
}

/**
 * The outputs that flat fields describe: `resize`, `circle` and `classify`, in this order. Throws BAD_REQUEST when they
 * describe none, when they contradict each other, and when one of them would have no effect.
 */
export function readFlatFields(fields: FlatFields): OutputSpec[] {
  const contradiction = flatContradiction(fields);
  if (contradiction !== null) {
    throw new DarkroomError('BAD_REQUEST', `Expected ${contradiction.expected}, received ${contradiction.received}`);
  }
  const { circle, classify = true, top_k = DEFAULT_TOP_K, ...resize } = fields;
  const { format, quality, grayscale, lossless } = resize;
  const specs: OutputSpec[] = [];
  if (asksResize(fields)) specs.push({ name: 'resize', operation: 'resize', ...resize });
  if (circle !== undefined) {
    // `format` may be meant for the resize of the same request, so the circle accepts every format and may use PNG.
    const encoding = { format: circleFormat(format), quality, grayscale };
    const spec = { name: 'circle', operation: 'circle', size: circle, ...encoding } as const;
    specs.push(choosesLoss(encoding.format) ? { ...spec, lossless } : spec);
  }
  if (classify) specs.push({ name: 'classify', operation: 'classify', top_k });
  return specs;
}

function asksResize({ scale_factor, width, height }: FlatFields): boolean {
  return scale_factor !== undefined || width !== undefined || height !== undefined;
}

function flatContradiction(fields: FlatFields): Contradiction | null {
  const { circle, classify, top_k, format, lossless } = fields;
  const resizes = asksResize(fields);
  const draws = resizes || circle !== undefined;
  const opposed = resizeContradiction(fields);
  if (opposed !== null && resizes) return opposed;
  if (!draws && classify !== true) {
    return { expected: 'at least one of scale_factor, width, height, circle or classify=true', received: 'none' };
  }
  if (opposed !== null) return opposed;
  if (!draws && ENCODING.some((name) => fields[name] !== undefined)) {
    const expected = 'scale_factor, width, height or circle with format, quality and grayscale';
    return { expected: `${expected} (scale_factor=1 keeps the size)`, received: 'none' };
  }
  const change = CHANGES.find((name) => fields[name] !== undefined);
  if (change !== undefined && !resizes && !(change === 'lossless' && draws)) {
    return {
      expected: `scale_factor, width or height with ${change} (scale_factor=1 keeps the size)`,
      received: 'none',
    };
  }
  if (!resizes && circle !== undefined) {
    const circleOpposed = encodingContradiction({ format: circleFormat(format), lossless });
    if (circleOpposed !== null) return circleOpposed;
  }
  if (top_k !== undefined && classify === false) return { expected: 'classify with top_k', received: 'classify=false' };
  return null;
}
