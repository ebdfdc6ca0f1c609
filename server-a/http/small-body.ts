import { isUtf8 } from 'node:buffer';
import { buffer } from 'node:stream/consumers';
import { DarkroomError, invalid } from '../../shared/errors.ts';
import type { HttpContext } from './http-context.ts';
import { checkDeclaredBytes, checkEncoding, inviteBody, RequestBody, unsupportedBody } from './request-body.ts';

/** The request's JSON body (RFC 8259). Throws BAD_REQUEST, PAYLOAD_TOO_LARGE, and UNSUPPORTED_MEDIA_TYPE. */
export async function readJson(context: HttpContext, most: number): Promise<unknown> {
  const { type } = context.request;
  if (!/^application\/(\S+\+)?json$/i.test(type)) throw unsupportedBody('application/json', type);
  const text = await readText(context, most);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DarkroomError('BAD_REQUEST', "Expected JSON for the request's body, received something else", {
      cause: error,
    });
  }
}

/** What a urlencoded body may have. */
export interface UrlencodedLimits {
  readonly bytes: number;
  readonly fields: number;
}

/**
 * The fields of an `application/x-www-form-urlencoded` body (WHATWG URL, section 5), a repeated one as an array. Throws
 * BAD_REQUEST, also for more fields than there may be, and PAYLOAD_TOO_LARGE.
 */
export async function readUrlencoded(
  context: HttpContext,
  { bytes, fields: most }: UrlencodedLimits,
): Promise<Record<string, unknown>> {
  const text = await readText(context, bytes);
  // Looked for no further than it takes, and before anything is made of them.
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

async function readText(context: HttpContext, most: number): Promise<string> {
  checkEncoding(context);
  checkDeclaredBytes(context.req, most);
  inviteBody(context);
  const body = RequestBody.of(context.req, most, context.state.signal);
  try {
    const bytes = await buffer(body);
    if (!isUtf8(bytes)) throw invalid('UTF-8', "the request's body", `${bytes.length} bytes of something else`);
    return bytes.toString();
  } finally {
    body.destroy();
  }
}
