import type { IncomingMessage } from 'node:http';
import { Readable, type Writable } from 'node:stream';
import multer from '@koa/multer';
import type Koa from 'koa';
import { DarkroomError } from '../../../../shared/errors.ts';
import type { HttpContext } from '../http-context.ts';
import { readFormError } from './multipart-error.ts';
import { checkDeclaredBytes, inviteBody, RequestBody } from './request-body.ts';

/** What a form may have beside its file, by busboy's names. Sizes are in bytes. */
export interface FormLimits {
  readonly fieldNameSize: number;
  readonly fieldSize: number;
  readonly fields: number;
  /** Of all text fields together. */
  readonly textSize: number;
  readonly parts: number;
  readonly files: number;
}

/** Room for a URL or a path; a file more than is wanted, so that it can be told. */
export const FORM_LIMITS: FormLimits = {
  fieldNameSize: 100,
  fieldSize: 4096,
  fields: 32,
  textSize: 32 * 4096,
  parts: 34,
  files: 2,
};

/** What a form may weigh beside its file: all the text it may have, and as much again for the parts' heads. */
export function overheadBytes(limits: FormLimits): number {
  return 2 * limits.textSize;
}

export interface ParseOptions {
  /** Name of the file field. */
  readonly field: string;
  /** Name of a text field that `storage` is given when it comes as a file. */
  readonly textField?: string;
  /** Bytes the file may have. */
  readonly maxBytes: number;
  readonly limits: FormLimits;
}

/**
 * Reads a multipart/form-data request (RFC 7578); its file goes to `storage`. Gives the text fields, a repeated one as an
 * array and `a[b]` as an object. Throws BAD_REQUEST for a malformed form, PAYLOAD_TOO_LARGE, and what the storage fails
 * with; the rest of the request is then still to be drained.
 */
export async function parseForm(
  context: HttpContext,
  storage: multer.StorageEngine,
  { field, textField, maxBytes, limits }: ParseOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const body = RequestBody.of(context.req, maxBytes + overheadBytes(limits), context.state.signal);
  const parsed: { body?: Record<string, unknown> } = {};
  // multer's own context: the same one, but for the body it reads and the place where it leaves the fields.
  const form: Koa.Context = Object.create(context, { req: { value: body }, request: { value: parsed } });
  const streamHandler = (_request: unknown, parser: Writable) => {
    boundText(parser, limits.textSize, (error) => body.destroy(error));
    body.pipe(parser);
  };
  const settings = { storage, limits, defParamCharset: 'utf8', streamHandler };
  const files = [{ name: field, maxCount: 1 }, ...(textField === undefined ? [] : [{ name: textField }])];
  try {
    await multer(settings).fields(files)(form, async () => {});
    return parsed.body ?? {};
  } catch (error) {
    throw readFormError(error, field);
  } finally {
    body.destroy();
  }
}

/** busboy bounds each field; many large ones would still fill the memory. */
function boundText(parser: Writable, most: number, refuse: (error: DarkroomError) => void): void {
  let bytes = 0;
  parser.on('field', (_name: string, value: string) => {
    bytes += Buffer.byteLength(value);
    const message = `Expected at most ${most} bytes for the texts in the form, received more`;
    if (bytes > most) refuse(new DarkroomError('BAD_REQUEST', message));
  });
}

/** The text fields of a form whose file, if it has one, is read and forgotten. Throws as {@link parseForm}. */
export async function receiveFields(
  context: HttpContext,
  { field, maxBytes }: Pick<ParseOptions, 'field' | 'maxBytes'>,
): Promise<Readonly<Record<string, unknown>>> {
  checkDeclaredBytes(context.req, maxBytes + overheadBytes(FORM_LIMITS));
  inviteBody(context);
  return parseForm(context, FORGETFUL, { field, maxBytes, limits: FORM_LIMITS });
}

const FORGETFUL: multer.StorageEngine = {
  _handleFile(_request: IncomingMessage, file: multer.File, callback: (error?: unknown) => void): void {
    if (!('stream' in file && file.stream instanceof Readable)) {
      callback(new Error('Expected a stream from multer, received none'));
      return;
    }
    file.stream.once('error', callback).once('end', callback).resume();
  },
  _removeFile(_request: IncomingMessage, _file: multer.File, callback: (...errors: Error[]) => void): void {
    callback();
  },
};
