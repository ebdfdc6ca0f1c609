import { isUtf8 } from 'node:buffer';
import { MIMEType, TextDecoder } from 'node:util';
import { parse } from 'content-disposition';
import { z } from 'zod';
import { DarkroomError, invalid } from '../../../../shared/errors.ts';

/** The parser's limits for the head of one part: of its headers together in bytes, and their number. */
export const HEAD_LIMITS = { bytes: 16 * 1024, headers: 100 };

/** What the head of a part says. */
export interface PartHead {
  readonly name: string;
  /** Without folders. Null when the part has none or an empty one, as a file input that was left blank has. */
  readonly filename: string | null;
  /** Decodes the part's text. */
  readonly decoder: TextDecoder;
}

/** Headers by lower-case name; each value as the bytes that arrived, one character for a byte. */
const headersSchema = z.record(z.string(), z.array(z.string()));

/** Encodings that leave the bytes as they are (RFC 2045, section 6). */
const IDENTITY_ENCODINGS: readonly string[] = ['7bit', '8bit', 'binary'];

/**
 * Reads the head of a part of a form (RFC 7578, section 4). Throws BAD_REQUEST, with the reason, for every head that
 * does not make the part a field: otherwise the part would be lost.
 */
export function readPartHead(raw: object, maxNameLength: number): PartHead {
  const headers = headersSchema.parse(raw);
  checkSize(headers);
  const dispositions = headers['content-disposition'] ?? [];
  const { type, parameters } = parse(asText(dispositions[0] ?? ''), { multipart: true });
  if (dispositions.length !== 1 || type !== 'form-data') {
    throw invalid('Content-Disposition: form-data', 'every part of the form', dispositions.join(', ') || undefined);
  }
  const { name = '', filename: path = '' } = parameters;
  if (name === '') throw refusal('Expected a name for every part of the form, received a part without');
  if (name.length > maxNameLength) {
    throw refusal("Expected a shorter name for a form's field, received one that is too long");
  }
  const encoding = headers['content-transfer-encoding']?.[0]?.trim() ?? 'binary';
  if (!IDENTITY_ENCODINGS.includes(encoding.toLowerCase())) {
    throw invalid('no Content-Transfer-Encoding', name, encoding);
  }
  const charset = parameterOf(headers['content-type']?.[0] ?? '', 'charset') ?? 'utf-8';
  const filename = withoutFolders(path);
  return { name, filename: filename === '' ? null : filename, decoder: decoderOf(charset, name) };
}

/**
 * A parameter of a media type, or null. Reads like a browser (WHATWG MIME Sniffing, section 4.4), so that a value
 * without quotes may have any characters but `;`.
 */
export function parameterOf(mediaType: string, name: string): string | null {
  try {
    return new MIMEType(mediaType).params.get(name);
  } catch {
    return null;
  }
}

/** Beyond its limits the parser truncates without saying so; half of the bytes leaves room for what it left out. */
function checkSize(headers: Readonly<Record<string, readonly string[]>>): void {
  const all = Object.entries(headers).flatMap(([name, values]) => values.map((value) => name.length + value.length));
  const bytes = all.reduce((sum, length) => sum + length, 0);
  if (all.length >= HEAD_LIMITS.headers || bytes > HEAD_LIMITS.bytes / 2) {
    throw refusal('Expected shorter headers in every part of the form, received too many');
  }
}

/** A header's value, which Node gives as bytes: UTF-8, as browsers send names (RFC 7578, section 5.1), or Latin-1. */
export function asText(value: string): string {
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : value;
}

/** The last part of a path on any system; '' when there is none. */
export function withoutFolders(path: string): string {
  return path.replace(/^.*[\\/]/s, '');
}

function decoderOf(charset: string, name: string): TextDecoder {
  try {
    return new TextDecoder(charset);
  } catch {
    throw invalid('a known charset', name, charset);
  }
}

function refusal(message: string): DarkroomError {
  return new DarkroomError('BAD_REQUEST', message);
}
