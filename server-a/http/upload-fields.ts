import { z } from 'zod';
import { DarkroomError, invalid } from '../../shared/errors.ts';
import {
  type CircleParameters,
  circleFormat,
  DEFAULT_TOP_K,
  FITS,
  FORMATS,
  MAX_SCALE_FACTOR,
  MAX_SIDE,
  type Operation,
  type ResizeParameters,
} from '../../shared/operations.ts';

/** Name of the multipart part that holds the picture. */
export const PICTURE_FIELD = 'image';

/** A number as people write it: no sign, no hexadecimal, no words. */
const DECIMAL = /^(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** One optional text field, without the space around it; `read` gives undefined for what is not `expected`. */
function field<Value>(expected: string, read: (text: string) => Value | undefined) {
  return z
    .unknown()
    .transform((given, context) => {
      const value = typeof given === 'string' ? read(given.trim()) : undefined;
      if (value !== undefined) return value;
      context.addIssue({ code: 'custom', message: typeof given === 'string' ? expected : 'one value' });
      return z.NEVER;
    })
    .optional();
}

function wholeNumber(most: number) {
  return field(`a whole number in [1, ${most}]`, (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    return value >= 1 && value <= most ? value : undefined;
  });
}

function oneOf<Name extends string>(names: readonly Name[]) {
  return field(`one of ${names.join(', ')}`, (text) => names.find((name) => name === text));
}

const yesOrNo = field('true or false', (text) => {
  if (/^(true|1)$/i.test(text)) return true;
  return /^(false|0)$/i.test(text) ? false : undefined;
});

/** Every field of an upload, as text, in the order the docs list them. */
const fieldsSchema = z.strictObject({
  scale_factor: field(`a number in (0, ${MAX_SCALE_FACTOR}]`, (text) => {
    const value = DECIMAL.test(text) ? Number(text) : 0;
    return value > 0 && value <= MAX_SCALE_FACTOR ? value : undefined;
  }),
  width: wholeNumber(MAX_SIDE),
  height: wholeNumber(MAX_SIDE),
  fit: oneOf(FITS),
  format: oneOf(FORMATS),
  quality: wholeNumber(100),
  grayscale: yesOrNo,
  circle: wholeNumber(MAX_SIDE),
  classify: yesOrNo,
  top_k: wholeNumber(100),
  url: field('an http or https URL', (text) => text || undefined),
});

/** An upload's fields, read but not yet weighed against each other. */
export type UploadFields = z.infer<typeof fieldsSchema>;

/** Names of the fields an upload may carry beside the picture. */
export const UPLOAD_FIELDS: readonly string[] = Object.keys(fieldsSchema.shape);

/**
 * Reads text fields of a form or a query string. A field given twice arrives as an array and `a[b]` as an object;
 * neither is one value. Throws BAD_REQUEST for the first that is unknown or not what it should be.
 */
export function readFields(raw: Readonly<Record<string, unknown>>): UploadFields {
  const parsed = fieldsSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  if (issue?.code === 'unrecognized_keys') throw unknownField(issue.keys[0] ?? '', raw);
  const name = String(issue?.path[0]);
  throw invalid(issue?.message ?? 'known fields', name, raw[name]);
}

function unknownField(name: string, raw: Readonly<Record<string, unknown>>): DarkroomError {
  if (name === PICTURE_FIELD) return invalid('a file', PICTURE_FIELD, raw[name]);
  return invalid(`one of ${UPLOAD_FIELDS.join(', ')}`, "a field's name", name);
}

/**
 * The operations an upload asks for, in the order of their outputs. Throws BAD_REQUEST when it asks for none, or for
 * what contradicts itself or would have no effect: that is a mistake the client wants to hear of.
 */
export function toOperations(fields: UploadFields): Operation[] {
  const { classify = true, top_k = DEFAULT_TOP_K } = fields;
  checkCombination(fields);
  const operations: Operation[] = [];
  if (asksResize(fields)) operations.push(resizeOf(fields));
  if (fields.circle !== undefined) operations.push(circleOf(fields, fields.circle));
  if (classify) operations.push({ operation: 'classify', top_k });
  return operations;
}

function asksResize({ scale_factor, width, height }: UploadFields): boolean {
  return scale_factor !== undefined || width !== undefined || height !== undefined;
}

function checkCombination(fields: UploadFields): void {
  const { scale_factor, width, height, fit, format, quality, grayscale, circle, classify, top_k } = fields;
  const boxed = width !== undefined || height !== undefined;
  const draws = asksResize(fields) || circle !== undefined;
  if (scale_factor !== undefined && boxed) {
    throw contradiction('scale_factor or width and height', 'both');
  }
  if (!draws && classify !== true) {
    throw contradiction('at least one of scale_factor, width, height, circle or classify=true', 'none');
  }
  if (fit !== undefined && !boxed) throw contradiction('width or height with fit', 'neither');
  if (!draws && (format !== undefined || quality !== undefined || grayscale !== undefined)) {
    const expected = 'scale_factor, width, height or circle with format, quality and grayscale';
    throw contradiction(`${expected} (scale_factor=1 keeps the size)`, 'none');
  }
  if (top_k !== undefined && classify === false) throw contradiction('classify with top_k', 'classify=false');
}

function contradiction(expected: string, received: string): DarkroomError {
  return new DarkroomError('BAD_REQUEST', `Expected ${expected}, received ${received}`);
}

function resizeOf({ scale_factor, width, height, fit, format, quality, grayscale }: UploadFields): ResizeParameters {
  return { operation: 'resize', scale_factor, width, height, fit, format, quality, grayscale };
}

/** The format may be meant for the resize of the same upload; it does not break the circle. */
function circleOf({ format, quality, grayscale }: UploadFields, size: number): CircleParameters {
  return { operation: 'circle', size, format: circleFormat(format), quality, grayscale };
}
