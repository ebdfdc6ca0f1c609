import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type multer from '@koa/multer';
import { DarkroomError, invalid } from '../../../../shared/errors.ts';
import { keptFilename } from '../../../intake/filename.ts';
import type { ReceivedPicture, Tasks } from '../../../tasks/tasks.ts';
import type { HttpContext } from '../http-context.ts';
import { type FormLimits, parseForm } from './multipart.ts';
import { declaredBytes } from './request-body.ts';

/** A form as it came in: text fields, a repeated one as an array and `a[b]` as an object, and the picture. */
export interface Form {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly picture: ReceivedPicture | null;
}

export interface FormOptions {
  readonly tasks: Tasks;
  /** Name of the file field. */
  readonly field: string;
  /** Name of a text field that some clients send as a file. */
  readonly textField?: string;
  /** Bytes the picture may have. */
  readonly maxBytes: number;
  readonly limits: FormLimits;
  /** Given the fields that came before the picture; what it throws refuses the form before the picture is read. */
  readonly checkFields: (fields: Readonly<Record<string, unknown>>) => void;
}

/**
 * Reads a multipart/form-data request (RFC 7578) whose picture, under its one field name, goes straight to the spool.
 * Throws BAD_REQUEST for a malformed form, PAYLOAD_TOO_LARGE, and what `Tasks.receive` and `checkFields` throw; the
 * picture is then gone from the disk, and the rest of the request is still to be drained.
 */
export async function receiveForm(context: HttpContext, options: FormOptions): Promise<Form> {
  const storage = new PictureStorage(options, context);
  try {
    const fields = await parseForm(context, storage, options);
    return { fields: { ...fields, ...storage.texts(fields) }, picture: storage.picture };
  } catch (error) {
    await storage.discard();
    throw error;
  }
}

/** multer's storage engine for one request: streams the picture to `tasks`, and owns it until the form is whole. */
class PictureStorage implements multer.StorageEngine {
  readonly #options: FormOptions;
  readonly #context: HttpContext;
  #reception: Promise<ReceivedPicture> | null = null;
  readonly #texts: string[] = [];
  /** The picture, once it has come in whole. */
  picture: ReceivedPicture | null = null;

  constructor(options: FormOptions, context: HttpContext) {
    this.#options = options;
    this.#context = context;
  }

  _handleFile(request: IncomingMessage, file: multer.File, callback: (error?: unknown) => void): void {
    if (file.fieldname !== this.#options.field) {
      this.#readText(file).then(() => callback(), callback);
      return;
    }
    this.#reception = this.#receive(request, file);
    this.#reception.then((picture) => {
      this.picture = picture;
      callback();
    }, callback);
  }

  /** The text field that came as a file, beside what `fields` have of it; nothing when it did not. */
  texts(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    const { textField } = this.#options;
    if (textField === undefined || this.#texts.length === 0) return {};
    const all = [fields[textField] ?? [], this.#texts].flat();
    return { [textField]: all.length === 1 ? all[0] : all };
  }

  /** multer's types ask for an error in any case, multer itself for none when all is well: hence the rest parameter. */
  _removeFile(_request: IncomingMessage, _file: multer.File, callback: (...errors: Error[]) => void): void {
    this.discard().then(() => callback(), callback);
  }

  /**
   * Waits until a reception under way has failed, or removes what it gave, so that nothing is left by the time the
   * refusal is told. When the client is cut off, multer waits for neither.
   */
  async discard(): Promise<void> {
    const picture = await this.#reception?.catch(() => null);
    if (picture) await this.#options.tasks.discard(picture);
  }

  async #receive(request: IncomingMessage, file: multer.File): Promise<ReceivedPicture> {
    const { tasks, checkFields } = this.#options;
    const earlier = 'body' in request && typeof request.body === 'object' ? { ...request.body } : {};
    checkFields({ ...earlier, ...this.texts(earlier) });
    const stream = streamOf(file);
    const filename = keptFilename(file.originalname);
    // The form is not much larger than its picture: better room for that is kept than for the largest upload.
    const bytes = declaredBytes(this.#context.req);
    return tasks.receive(stream, { filename, bytes, signal: this.#context.state.signal });
  }

  async #readText(file: multer.File): Promise<void> {
    const { fieldSize } = this.#options.limits;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of streamOf(file).iterator({ destroyOnReturn: false })) {
      bytes += chunk.length;
      if (bytes > fieldSize) throw invalid(`at most ${fieldSize} bytes`, file.fieldname, 'more');
      chunks.push(chunk);
    }
    this.#texts.push(Buffer.concat(chunks).toString());
  }
}

/** What multer hands over, which Koa multer's types do not know of. */
function streamOf(file: multer.File): Readable {
  if ('stream' in file && file.stream instanceof Readable) return file.stream;
  throw new DarkroomError('INTERNAL', 'Expected a stream from multer, received none');
}
