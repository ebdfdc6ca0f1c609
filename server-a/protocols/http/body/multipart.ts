import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { DarkroomError } from '../../../../shared/errors.ts';
import type { HttpContext } from '../http-context.ts';
import { readBoundary, readParts } from './form-parts.ts';
import type { PartHead } from './part-head.ts';
import { checkDeclaredBytes, inviteBody, pipeBody, RequestBody } from './request-body.ts';

/** What a form may have beside its file. Sizes are in bytes. */
export interface FormLimits {
  readonly fieldNameSize: number;
  readonly fieldSize: number;
  readonly fields: number;
  /** Of all text fields together. */
  readonly textSize: number;
  readonly parts: number;
}

/** Room for a URL or a path in each field. */
export const FORM_LIMITS: FormLimits = {
  fieldNameSize: 100,
  fieldSize: 4096,
  fields: 32,
  textSize: 32 * 4096,
  parts: 34,
};

/** The most bytes of a form without its file: all its text, and as much again for the headers of its parts. */
export function overheadBytes(limits: FormLimits): number {
  return 2 * limits.textSize;
}

/** The text fields of a form; a repeated one as an array. */
export type FormFields = Readonly<Record<string, string | readonly string[]>>;

/** The file of a form while it arrives. */
export interface FormFile {
  readonly filename: string;
  readonly content: Readable;
  /** The text fields that came before the file. */
  readonly earlier: FormFields;
}

/** Reads the file to its end. What it throws refuses the form. */
export type ReceiveFile = (file: FormFile) => Promise<void>;

export interface ParseOptions {
  /** Name of the file field. */
  readonly field: string;
  /** Names of the fields that are text even when they have a file name, as a browser gives one to each Blob. */
  readonly texts: readonly string[];
  /** Bytes the file may have. */
  readonly maxBytes: number;
  readonly limits: FormLimits;
}

/**
 * Reads a multipart/form-data request (RFC 7578); its file goes to `receive`. Returns the text fields. A part is the
 * file or a text, whatever its headers, or it refuses the form. Throws BAD_REQUEST, PAYLOAD_TOO_LARGE, and what
 * `receive` throws; the rest of the request has then not been read yet.
 */
export async function parseForm(
  context: HttpContext,
  receive: ReceiveFile,
  options: ParseOptions,
): Promise<FormFields> {
  const { limits } = options;
  const boundary = readBoundary(context.get('Content-Type'));
  const body = pipeBody(context, new RequestBody(options.maxBytes + overheadBytes(limits)));
  const form = new FormReader(receive, options);
  await readParts(body, boundary, limits, (head, content) => form.read(head, content));
  return form.fields;
}

/** The text fields of a form; a file is read and discarded. Throws like {@link parseForm}. */
export async function receiveFields(
  context: HttpContext,
  { field, texts, maxBytes }: Pick<ParseOptions, 'field' | 'texts' | 'maxBytes'>,
): Promise<FormFields> {
  checkDeclaredBytes(context.req, maxBytes + overheadBytes(FORM_LIMITS));
  inviteBody(context);
  const options = { field, texts, maxBytes, limits: FORM_LIMITS };
  return parseForm(context, ({ content }) => finished(content.resume()), options);
}

/** Sorts the parts of one form into texts and its file. */
class FormReader {
  readonly #receive: ReceiveFile;
  readonly #options: ParseOptions;
  readonly #texts = new Map<string, string | string[]>();
  #count = 0;
  #bytes = 0;
  #hasFile = false;

  constructor(receive: ReceiveFile, options: ParseOptions) {
    this.#receive = receive;
    this.#options = options;
  }

  get fields(): FormFields {
    return Object.fromEntries(this.#texts);
  }

  async read(head: PartHead, content: Readable): Promise<void> {
    const { name, filename } = head;
    const { field, texts } = this.#options;
    if (filename === null || texts.includes(name)) return this.#readText(head, content);
    if (name !== field || this.#hasFile) {
      const received = name === field ? 'a second one' : `one named '${name.slice(0, 60)}'`;
      throw new DarkroomError('BAD_REQUEST', `Expected exactly one file, named ${field}, received ${received}`);
    }
    this.#hasFile = true;
    await this.#receive({ filename, content, earlier: this.fields });
  }

  async #readText({ name, decoder }: PartHead, content: Readable): Promise<void> {
    const { fields } = this.#options.limits;
    this.#count += 1;
    if (this.#count > fields) {
      throw new DarkroomError('BAD_REQUEST', 'Expected fewer fields in the form, received too many');
    }
    const text = decoder.decode(await this.#readBytes(name, content));
    const earlier = this.#texts.get(name);
    this.#texts.set(name, earlier === undefined ? text : [earlier, text].flat());
  }

  async #readBytes(name: string, content: Readable): Promise<Buffer> {
    const { fieldSize, textSize } = this.#options.limits;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of content.iterator({ destroyOnReturn: false })) {
      bytes += chunk.length;
      this.#bytes += chunk.length;
      if (bytes > fieldSize) throw this.#tooLong(name);
      if (this.#bytes > textSize) {
        const message = `Expected at most ${textSize} bytes for the texts in the form, received more`;
        throw new DarkroomError('BAD_REQUEST', message);
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  #tooLong(name: string): DarkroomError {
    const message =
      name === this.#options.field
        ? fileExpected(name)
        : `Expected a short text for ${name.slice(0, 60)}, received one that is too long`;
    return new DarkroomError('BAD_REQUEST', message);
  }
}

/** The message for a picture without a file name. */
export function fileExpected(field: string): string {
  return `Expected a file for ${field}, with a file name, received a text`;
}
