import { invalid } from '../../../../shared/errors.ts';
import { keptFilename } from '../../../intake/filename.ts';
import type { ReceivedPicture, Tasks } from '../../../tasks/tasks.ts';
import type { HttpContext } from '../http-context.ts';
import type { FormFile, FormLimits } from './multer.ts';
import { parseForm } from './multipart.ts';
import { declaredBytes } from './request-body.ts';

/** A form: its text fields, a repeated one as an array and `a[b]` as an object, and its picture. */
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
  /** Checks the fields that came before the picture; what it throws refuses the form before the picture is read. */
  readonly checkFields: (fields: Readonly<Record<string, unknown>>) => void;
}

/**
 * Reads a multipart/form-data request (RFC 7578) whose picture, under its one field name, goes straight to the spool.
 * Throws BAD_REQUEST for a malformed form, PAYLOAD_TOO_LARGE, and what `Tasks.receive` and `checkFields` throw. The
 * picture has then been removed from disk; the rest of the request has not been read yet.
 */
export async function receiveForm(context: HttpContext, options: FormOptions): Promise<Form> {
  const files = new FormFiles(options, context);
  try {
    const fields = await parseForm(context, (file) => files.receive(file), options);
    return { fields: { ...fields, ...files.texts(fields) }, picture: files.picture };
  } catch (error) {
    await files.discard();
    throw error;
  }
}

/** The files of one form. Owns the picture until the whole form has been read. */
class FormFiles {
  readonly #options: FormOptions;
  readonly #context: HttpContext;
  readonly #texts: string[] = [];
  #receiving: Promise<ReceivedPicture> | null = null;
  /** The picture, once it has been received whole. */
  picture: ReceivedPicture | null = null;

  constructor(options: FormOptions, context: HttpContext) {
    this.#options = options;
    this.#context = context;
  }

  async receive(file: FormFile): Promise<void> {
    if (file.field !== this.#options.field) return this.#readText(file);
    this.#receiving = this.#receivePicture(file);
    this.picture = await this.#receiving;
  }

  /** `textField` from `fields`, together with its values that came as files; empty when none came as a file. */
  texts(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    const { textField } = this.#options;
    if (textField === undefined || this.#texts.length === 0) return {};
    const all = [fields[textField] ?? [], this.#texts].flat();
    return { [textField]: all.length === 1 ? all[0] : all };
  }

  /**
   * Removes the picture. Waits first for one that is still being received, because multer does not wait for it when the
   * client disconnects. So no file is left when the client reads the error.
   */
  async discard(): Promise<void> {
    const picture = await this.#receiving?.catch(() => null);
    if (picture) await this.#options.tasks.discard(picture);
  }

  async #receivePicture({ stream, filename, earlier }: FormFile): Promise<ReceivedPicture> {
    const { tasks, checkFields } = this.#options;
    checkFields({ ...earlier, ...this.texts(earlier) });
    // The form is not much larger than its picture; reserving its size is better than reserving the largest upload's.
    const bytes = declaredBytes(this.#context.req);
    return tasks.receive(stream, { filename: keptFilename(filename), bytes, signal: this.#context.state.signal });
  }

  async #readText({ field, stream }: FormFile): Promise<void> {
    const { fieldSize } = this.#options.limits;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      bytes += chunk.length;
      if (bytes > fieldSize) throw invalid(`at most ${fieldSize} bytes`, field, 'more');
      chunks.push(chunk);
    }
    this.#texts.push(Buffer.concat(chunks).toString());
  }
}
