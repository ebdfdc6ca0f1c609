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

/**
 * The fields of an `application/x-www-form-urlencoded` body (WHATWG URL, section 5), a repeated one as an array. Throws
 * BAD_REQUEST and PAYLOAD_TOO_LARGE.
 */
export async function readUrlencoded(context: HttpContext, most: number): Promise<Record<string, unknown>> {
  const pairs = new URLSearchParams(await readText(context, most));
  const names = [...new Set(pairs.keys())];
  return Object.fromEntries(
    names.map((name) => {
      const values = pairs.getAll(name);
      return [name, values.length === 1 ? values[0] : values];
    }),
  );
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
