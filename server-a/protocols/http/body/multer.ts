import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Readable, type Writable } from 'node:stream';
import multer from '@koa/multer';
import type Koa from 'koa';
import { DarkroomError } from '../../../../shared/errors.ts';
import type { HttpContext } from '../http-context.ts';
import { pipeBody, RequestBody } from './request-body.ts';

// All workarounds for multer 2.5, each with its reason. multer parses a form here, but must not read the request
// itself, write files, or wait for a client that was refused.

/** The limits of a form, without its file, by busboy's names. Sizes are in bytes. */
export interface FormLimits {
  readonly fieldNameSize: number;
  readonly fieldSize: number;
  readonly fields: number;
  /** Of all text fields together. */
  readonly textSize: number;
  readonly parts: number;
  readonly files: number;
}

/** A file of a form while it arrives. */
export interface FormFile {
  readonly field: string;
  readonly filename: string;
  readonly stream: Readable;
  /** The text fields that came before the file. */
  readonly earlier: Readonly<Record<string, unknown>>;
}

/** Reads one file to its end. What it throws refuses the form. */
export type ReceiveFile = (file: FormFile) => Promise<void>;

export interface MulterOptions {
  /** Names of the fields that may be files, and how often each may occur. */
  readonly files: readonly { readonly name: string; readonly maxCount?: number }[];
  readonly limits: FormLimits;
  /** Bytes of the whole request's body. */
  readonly maxBytes: number;
  readonly receive: ReceiveFile;
}

/**
 * The text fields of a multipart/form-data request (RFC 7578); its files go to `receive`. Throws what `receive` throws,
 * PAYLOAD_TOO_LARGE, BAD_REQUEST for too much text, and the errors of multer and busboy as they are.
 */
export async function runMulter(
  context: HttpContext,
  { files, limits, maxBytes, receive }: MulterOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const body = pipeBody(context, new MulterBody(context.req.headers, maxBytes));
  const parsed: { body?: Record<string, unknown> } = {};
  // multer drains and resumes the request that it gets, and sets properties on it and on `request`. This context
  // differs from the real one in these two, so that the request itself stays ours.
  const form: Koa.Context = Object.create(context, { req: { value: body }, request: { value: parsed } });
  // Replaces multer's own `pipe`: the only place where its busboy can be reached.
  const streamHandler = (_request: unknown, parser: Writable) => {
    boundText(parser, limits.textSize, (error) => body.destroy(error));
    body.pipe(parser);
  };
  const settings = { storage: storageOf(receive), limits, defParamCharset: 'utf8', streamHandler };
  try {
    await multer(settings).fields([...files])(form, async () => {});
    return parsed.body ?? {};
  } finally {
    body.destroy();
  }
}

/** The request's body as multer reads it. */
class MulterBody extends RequestBody {
  /** multer reads the boundary from the request's headers. */
  readonly headers: IncomingHttpHeaders;

  constructor(headers: IncomingHttpHeaders, maxBytes: number) {
    super(maxBytes);
    this.headers = headers;
  }

  /**
   * multer calls this when it has parsed or refused the form. After a refusal it would wait, without a bound, for the
   * end of the body before it reports the error. The body ends here, so multer reports at once.
   */
  override unpipe(destination?: NodeJS.WritableStream): this {
    super.unpipe(destination);
    this.destroy();
    return this;
  }
}

/** busboy bounds each text field; many large ones would still fill the memory. */
function boundText(parser: Writable, maxBytes: number, refuse: (error: DarkroomError) => void): void {
  let bytes = 0;
  parser.on('field', (_name: string, value: string) => {
    bytes += Buffer.byteLength(value);
    const message = `Expected at most ${maxBytes} bytes for the texts in the form, received more`;
    if (bytes > maxBytes) refuse(new DarkroomError('BAD_REQUEST', message));
  });
}

/** A storage engine that streams files to `receive` instead of writing them to disk. */
function storageOf(receive: ReceiveFile): multer.StorageEngine {
  const handle = async (request: IncomingMessage, file: multer.File) => {
    const earlier = 'body' in request && typeof request.body === 'object' ? { ...request.body } : {};
    const { fieldname: field, originalname: filename } = file;
    await receive({ field, filename, stream: streamOf(file), earlier });
  };
  return {
    _handleFile(request: IncomingMessage, file: multer.File, callback: (error?: unknown) => void): void {
      handle(request, file).then(() => callback(), callback);
    },
    // The caller of runMulter removes what it received. multer's types require an error here, although multer itself
    // expects none after success; a rest parameter satisfies both.
    _removeFile(_request: IncomingMessage, _file: multer.File, callback: (...errors: Error[]) => void): void {
      callback();
    },
  };
}

/** The file's content, which the types of @koa/multer lack. */
function streamOf(file: multer.File): Readable {
  if ('stream' in file && file.stream instanceof Readable) return file.stream;
  throw new Error('multer gave a file without a stream');
}
