import type { IncomingMessage } from 'node:http';
import { addAbortSignal, Transform, type TransformCallback } from 'node:stream';
import { DarkroomError } from '../../../../shared/errors.ts';
import type { HttpContext } from '../http-context.ts';

/**
 * A request's body in a separate stream: a reader that fails destroys this stream and not the request, whose
 * connection still carries the answer. Fails with PAYLOAD_TOO_LARGE beyond `maxBytes`.
 */
export class RequestBody extends Transform {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) callback(payloadTooLarge(this.#maxBytes, this.#bytes));
    else callback(null, chunk);
  }
}

/** Pipes the request into `body` and returns `body`, which is destroyed when the client disconnects. */
export function pipeBody<Body extends RequestBody>({ req, state }: HttpContext, body: Body): Body {
  addAbortSignal(state.signal, body);
  return req.pipe(body);
}

/** Content-Length in bytes, 0 without one; null for a body in chunks, whose size is unknown. */
export function declaredBytes(request: IncomingMessage): number | null {
  if (request.headers['transfer-encoding'] !== undefined) return null;
  return Number(request.headers['content-length'] ?? 0);
}

/** Throws PAYLOAD_TOO_LARGE when the request declares a body of more than `maxBytes`. */
export function checkDeclaredBytes(request: IncomingMessage, maxBytes: number): void {
  const bytes = declaredBytes(request);
  if (bytes !== null && bytes > maxBytes) throw payloadTooLarge(maxBytes, bytes);
}

/** Sends `100 Continue` to a client that waits for it before it sends its body (RFC 9110, section 10.1.1). */
export function inviteBody(context: HttpContext): void {
  if (context.get('Expect').toLowerCase() === '100-continue') context.res.writeContinue();
}

/** Throws UNSUPPORTED_MEDIA_TYPE for a compressed body. */
export function checkEncoding(context: HttpContext): void {
  const encoding = context.get('Content-Encoding');
  if (encoding !== '' && encoding !== 'identity') throw unsupportedBody('no Content-Encoding', encoding);
}

/** The UNSUPPORTED_MEDIA_TYPE for a body whose declared type is not the `expected` one. */
export function unsupportedBody(expected: string, received: string): DarkroomError {
  const shown = received === '' ? 'none' : `'${received.slice(0, 60)}'`;
  return new DarkroomError('UNSUPPORTED_MEDIA_TYPE', `Expected ${expected} for the request's body, received ${shown}`);
}

function payloadTooLarge(maxBytes: number, bytes: number): DarkroomError {
  return new DarkroomError('PAYLOAD_TOO_LARGE', `Expected at most ${maxBytes} bytes for the upload, received ${bytes}`);
}
