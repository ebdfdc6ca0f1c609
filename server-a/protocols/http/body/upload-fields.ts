import { z } from 'zod';
import { DarkroomError, invalid } from '../../../../shared/errors.ts';
import { findFlatField, flatFieldsSchema, readFlatFields } from '../../../../shared/operations/flat-fields.ts';
import type { OutputSpec } from '../../../../shared/operations/index.ts';
import { parseOutputs } from '../../../../shared/operations/outputs.ts';
import { fromTexts, readParameters } from '../../../../shared/operations/parameters.ts';
import type { Presets } from '../../../tasks/presets.ts';

/** Name of the multipart part that holds the picture. */
export const PICTURE_FIELD = 'image';

/** A text with something in it, without the space around it. */
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

/** An upload's fields, read but not yet compared with each other. */
export type UploadFields = z.infer<typeof fieldsSchema>;

/** Names of the fields an upload may carry beside the picture. */
export const UPLOAD_FIELDS: readonly string[] = Object.keys(fieldsSchema.shape);

/**
 * Reads text fields of a form or a query string. A field given twice arrives as an array and `a[b]` as an object;
 * neither is one value. Throws BAD_REQUEST for the first that is unknown or not what it should be.
 */
export function readFields(raw: Readonly<Record<string, unknown>>): UploadFields {
  for (const [name, value] of Object.entries(raw)) {
    if (name === PICTURE_FIELD) throw invalid('a file', PICTURE_FIELD, value);
    if (typeof value !== 'string' && UPLOAD_FIELDS.includes(name)) throw invalid('one value', name, value);
  }
  return readParameters(fieldsSchema, fromTexts(fieldsSchema, raw), { shown: raw });
}

/**
 * The outputs an upload asks for, by presets and a list, or by flat fields. Throws BAD_REQUEST when it asks for none,
 * or for what contradicts itself or would have no effect.
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
