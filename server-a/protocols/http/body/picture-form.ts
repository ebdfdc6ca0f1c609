import { DarkroomError } from '../../../../shared/errors.ts';
import { keptFilename } from '../../../intake/filename.ts';
import type { ReceivedPicture, Tasks } from '../../../tasks/tasks.ts';
import type { HttpContext } from '../http-context.ts';
import { type FormFields, type FormFile, fileExpected, type ParseOptions, parseForm } from './multipart.ts';
import { declaredBytes } from './request-body.ts';

/** A form: its text fields, and its picture. */
export interface Form {
  readonly fields: FormFields;
  readonly picture: ReceivedPicture | null;
}

export interface FormOptions extends ParseOptions {
  readonly tasks: Tasks;
  /** Checks the fields that came before the picture; what it throws refuses the form before the picture is read. */
  readonly checkFields: (fields: FormFields) => void;
}

/**
 * Reads a multipart/form-data request (RFC 7578) whose picture, under its one field name, goes straight to the spool.
 * Throws BAD_REQUEST for a malformed form, PAYLOAD_TOO_LARGE, and what `Tasks.receive` and `checkFields` throw. The
 * picture has then been removed from disk; the rest of the request has not been read yet.
 */
export async function receiveForm(context: HttpContext, options: FormOptions): Promise<Form> {
  const { tasks, field, checkFields } = options;
  const received: { picture: ReceivedPicture | null } = { picture: null };
  const receive = async ({ filename, content, earlier }: FormFile) => {
    checkFields(withoutPicture(earlier, field));
    // The form is not much larger than its picture; reserving its size is better than reserving the largest upload's.
    const bytes = declaredBytes(context.req);
    const { signal } = context.state;
    received.picture = await tasks.receive(content, { filename: keptFilename(filename), bytes, signal });
  };
  try {
    const fields = withoutPicture(await parseForm(context, receive, options), field);
    return { fields, picture: received.picture };
  } catch (error) {
    if (received.picture !== null) await tasks.discard(received.picture);
    throw error;
  }
}

/**
 * The fields without a file input that was left blank. Throws BAD_REQUEST for a picture without a file name, which
 * arrives as a text.
 */
function withoutPicture(fields: FormFields, field: string): FormFields {
  const { [field]: given = '', ...others } = fields;
  if ([given].flat().every((text) => text === '')) return others;
  throw new DarkroomError('BAD_REQUEST', fileExpected(field));
}
