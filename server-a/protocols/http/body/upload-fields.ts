import { z } from 'zod';
import { DarkroomError, invalid } from '../../../../shared/errors.ts';
import { findFlatField, flatFieldsSchema, readFlatFields } from '../../../../shared/operations/flat-fields.ts';
import type { OutputSpec } from '../../../../shared/operations/index.ts';
import { parseOutputs } from '../../../../shared/operations/outputs.ts';
import { fromTexts, readParameters } from '../../../../shared/operations/parameters.ts';
import type { Presets } from '../../../tasks/presets.ts';

/** Name of the multipart part that holds the picture. */
export const PICTURE_FIELD = 'image';

/** A text that is not empty; surrounding white space is removed. */
function text(expected: string) {
  return z
    .string()
    .transform((given) => given.trim())
    .pipe(z.string().min(1))
    .meta({ expected })
    .optional();
}

/** Every field of an upload, in the order the docs list them. */
const fieldsSchema = z.strictObject({
  ...flatFieldsSchema.shape,
  outputs: text('a JSON list of outputs'),
  preset: text('the name of a preset'),
  url: text('an http or https URL'),
});

/** The fields of an upload. Each is valid by itself; contradictions are not checked yet. */
export type UploadFields = z.infer<typeof fieldsSchema>;

/** The names of all fields of an upload, except the picture. */
export const UPLOAD_FIELDS: readonly string[] = Object.keys(fieldsSchema.shape);

/**
 * Reads the text fields of a form or a query string. A known field that is blank counts as not given, because a plain
 * HTML form sends every input. Throws BAD_REQUEST for the first field that is unknown or invalid, also for a repeated
 * one, which arrives as an array, and for `a[b]`.
 */
export function readFields(raw: Readonly<Record<string, unknown>>): UploadFields {
  const given = withoutBlanks(raw);
  for (const [name, value] of Object.entries(given)) {
    if (name === PICTURE_FIELD) throw invalid('a file', PICTURE_FIELD, value);
    const base = name.replace(/\[.*$/s, '');
    const isOne = typeof value === 'string' && base === name;
    if (!isOne && UPLOAD_FIELDS.includes(base)) throw invalid('one value', base, value);
  }
  return readParameters(fieldsSchema, fromTexts(fieldsSchema, given), { shown: given });
}

/** The fields, those that are known without their blank values. */
function withoutBlanks(raw: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(raw).flatMap(([name, value]) => {
    if (!UPLOAD_FIELDS.includes(name)) return [[name, value]];
    const given = [value].flat().filter((one) => typeof one !== 'string' || one.trim() !== '');
    return given.length === 0 ? [] : [[name, given.length === 1 ? given[0] : given]];
  });
  return Object.fromEntries(entries);
}

/**
 * The outputs of an upload: those of `preset` and `outputs`, or those of the flat fields. Throws BAD_REQUEST when
 * there are none, when fields contradict each other, and when a field would have no effect.
 */
export function toOutputs({ outputs, preset, url: _url, ...flat }: UploadFields, presets: Presets): OutputSpec[] {
  if (outputs === undefined && preset === undefined) return readFlatFields(flat);
  const beside = outputs === undefined ? 'preset' : 'outputs';
  const misplaced = findFlatField(flat);
  if (misplaced !== undefined) {
    throw new DarkroomError(
      'BAD_REQUEST',
      `Expected no ${misplaced} beside ${beside}, which describes every output, received both`,
    );
  }
  return presets.resolve(preset, outputs === undefined ? [] : parseOutputs(outputs));
}
