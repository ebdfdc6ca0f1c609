import { isUtf8 } from 'node:buffer';
import { buffer } from 'node:stream/consumers';
import { DarkroomError, invalid } from '../../../../shared/errors.ts';
import { parseJson } from '../../../../shared/json.ts';
import type { HttpContext } from '../http-context.ts';
import {
  checkDeclaredBytes,
  checkEncoding,
  inviteBody,
  pipeBody,
  RequestBody,
  unsupportedBody,
} from './request-body.ts';

/** The request's JSON body (RFC 8259). Throws BAD_REQUEST, PAYLOAD_TOO_LARGE and UNSUPPORTED_MEDIA_TYPE. */
export async function readJson(context: HttpContext, most: number): Promise<unknown> {
  const { type } = context.request;
  if (!/^application\/(\S+\+)?json$/i.test(type)) throw unsupportedBody('application/json', type);
  return parseJsonBody(await readText(context, most));
}

/** The value of a JSON text. Throws BAD_REQUEST. */
export function parseJsonBody(text: string): unknown {
  const value = parseJson(text);
  if (value !== undefined) return value;
  throw new DarkroomError('BAD_REQUEST', "Expected JSON for the request's body, received something else");
}

/** Limits of a urlencoded body. */
export interface UrlencodedLimits {
  readonly bytes: number;
  readonly fields: number;
}

/**
 * The request's `application/x-www-form-urlencoded` body. Throws PAYLOAD_TOO_LARGE, and like {@link parseUrlencoded}.
 */
export async function readUrlencoded(
  context: HttpContext,
  { bytes, fields }: UrlencodedLimits,
): Promise<Record<string, unknown>> {
  return parseUrlencoded(await readText(context, bytes), fields);
}

/**
 * The fields of a urlencoded text (WHATWG URL, section 5), a repeated one as an array. Throws BAD_REQUEST for more than
 * `most` fields.
 */
export function parseUrlencoded(text: string, most: number): Record<string, unknown> {
  // Counts before it parses, and stops at the first field beyond the limit.
  if (text.split('&', most + 1).length > most) {
    throw new DarkroomError('BAD_REQUEST', `Expected at most ${most} fields in the request's body, received more`);
  }
  const fields = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    const earlier = fields.get(name);
    fields.set(name, earlier === undefined ? value : [earlier, value].flat());
  }
  return Object.fromEntries(fields);
}

/**
 * The request's body as text. Throws BAD_REQUEST, PAYLOAD_TOO_LARGE, and UNSUPPORTED_MEDIA_TYPE for a compressed one.
 */
export async function readText(context: HttpContext, most: number): Promise<string> {
  checkEncoding(context);
  checkDeclaredBytes(context.req, most);
  inviteBody(context);
  const body = pipeBody(context, new RequestBody(most));
  try {
    const bytes = await buffer(body);
    if (!isUtf8(bytes)) throw invalid('UTF-8', "the request's body", `${bytes.length} bytes of something else`);
    return bytes.toString();
  } finally {
    body.destroy();
  }
}
