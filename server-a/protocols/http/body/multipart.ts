import { finished } from 'node:stream/promises';
import type { HttpContext } from '../http-context.ts';
import { type FormLimits, type ReceiveFile, runMulter } from './multer.ts';
import { readFormError } from './multipart-error.ts';
import { checkDeclaredBytes, inviteBody } from './request-body.ts';

/** Room for a URL or a path. Allows one file too many, so that the error can name the second one. */
export const FORM_LIMITS: FormLimits = {
  fieldNameSize: 100,
  fieldSize: 4096,
  fields: 32,
  textSize: 32 * 4096,
  parts: 34,
  files: 2,
};

/** The most bytes of a form without its file: all its text, and as much again for the headers of its parts. */
export function overheadBytes(limits: FormLimits): number {
  return 2 * limits.textSize;
}

export interface ParseOptions {
  /** Name of the file field. */
  readonly field: string;
  /** Name of a text field that goes to `receive` when it comes as a file. */
  readonly textField?: string;
  /** Bytes the file may have. */
  readonly maxBytes: number;
  readonly limits: FormLimits;
}

/**
 * Reads a multipart/form-data request (RFC 7578); its file goes to `receive`. Returns the text fields, a repeated one
 * as an array and `a[b]` as an object. Throws BAD_REQUEST for a malformed form, PAYLOAD_TOO_LARGE, and what `receive`
 * throws; the rest of the request has then not been read yet.
 */
export async function parseForm(
  context: HttpContext,
  receive: ReceiveFile,
  { field, textField, maxBytes, limits }: ParseOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const files = [{ name: field, maxCount: 1 }, ...(textField === undefined ? [] : [{ name: textField }])];
  try {
    return await runMulter(context, { files, limits, maxBytes: maxBytes + overheadBytes(limits), receive });
  } catch (error) {
    throw readFormError(error, field);
  }
}

/** The text fields of a form; a file is read and discarded. Throws like {@link parseForm}. */
export async function receiveFields(
  context: HttpContext,
  { field, maxBytes }: Pick<ParseOptions, 'field' | 'maxBytes'>,
): Promise<Readonly<Record<string, unknown>>> {
  checkDeclaredBytes(context.req, maxBytes + overheadBytes(FORM_LIMITS));
  inviteBody(context);
  return parseForm(context, ({ stream }) => finished(stream.resume()), { field, maxBytes, limits: FORM_LIMITS });
}
