import { DarkroomError } from '../../../../shared/errors.ts';

/** The message for each `code` of multer 2.5. */
const MULTER_CODES: Readonly<Record<string, (field: string) => string>> = {
  LIMIT_PART_COUNT: () => 'Expected fewer parts in the form, received too many',
  LIMIT_FILE_COUNT: () => 'Expected exactly one file in the form, received more',
  LIMIT_FIELD_KEY: () => "Expected a shorter name for a form's field, received one that is too long",
  LIMIT_FIELD_VALUE: (field) => `Expected a short text for ${field}, received one that is too long`,
  LIMIT_FIELD_COUNT: () => 'Expected fewer fields in the form, received too many',
  MISSING_FIELD_NAME: () => 'Expected a name for every part of the form, received a part without',
  INVALID_FIELD_NAME: () => "Expected a plain name for a form's field, received nested brackets",
};

/** The message for each message of busboy 1.6, which has no codes. */
const BUSBOY_MESSAGES: Readonly<Record<string, string>> = {
  'Unexpected end of form': 'Expected a form that ends with its closing boundary, received none',
  'Unexpected end of file': 'Expected a file that ends with the boundary, received none',
  'Malformed part header': 'Expected well-formed headers in every part of the form, received others',
  'Malformed content type': 'Expected a well-formed Content-Type, received another',
  'Multipart: Boundary not found': 'Expected a boundary in the Content-Type, received none',
};

/**
 * The BAD_REQUEST for an error of multer or busboy; any other error is returned unchanged. `pictureField` is the only
 * name that a file may have.
 */
export function readFormError(error: unknown, pictureField: string): unknown {
  if (!(error instanceof Error) || error instanceof DarkroomError) return error;
  const message = BUSBOY_MESSAGES[error.message] ?? multerMessage(error, pictureField);
  return message === undefined ? error : new DarkroomError('BAD_REQUEST', message, { cause: error });
}

function multerMessage(error: Error, pictureField: string): string | undefined {
  if (error.name !== 'MulterError' || !('code' in error)) return undefined;
  const field = 'field' in error ? String(error.field).slice(0, 60) : 'a field';
  if (error.code === 'LIMIT_FIELD_VALUE' && field === pictureField) {
    return `Expected a file for ${field}, with a file name, received a text`;
  }
  if (error.code !== 'LIMIT_UNEXPECTED_FILE') return MULTER_CODES[String(error.code)]?.(field);
  const received = field === pictureField ? 'a second one' : `one named '${field}'`;
  return `Expected exactly one file, named ${pictureField}, received ${received}`;
}
