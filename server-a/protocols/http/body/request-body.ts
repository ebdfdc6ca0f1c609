import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { addAbortSignal, Transform, type TransformCallback } from 'node:stream';
import { DarkroomError } from '../../../../shared/errors.ts';
import type { HttpContext } from '../http-context.ts';

/**
 * A request's body that may be thrown away: a reader that fails destroys this stream and not the request, whose
 * connection is still needed for the answer. Fails with PAYLOAD_TOO_LARGE beyond `most` bytes.
 */
export class RequestBody extends Transform {
  /** The request's; multer reads the boundary from them. */
  readonly headers: IncomingHttpHeaders;
  readonly #most: number;
  #bytes = 0;

  constructor(headers: IncomingHttpHeaders, most: number) {
    super();
    this.headers = headers;
    this.#most = most;
  }

  /** Starts the flow from the request, until the body is destroyed or `signal` says that the client has gone. */
  static of(request: IncomingMessage, most: number, signal: AbortSignal): RequestBody {
    const body = new RequestBody(request.headers, most);
    addAbortSignal(signal, body);
    return request.pipe(body);
  }

  /**
   * multer lets go of the body by this, whether it has read it or refused it, and in the second case waits, without
   * bounds, for its end before it tells why. Nothing is read after it, so the body ends here and multer speaks at once.
   */
  override unpipe(destination?: NodeJS.WritableStream): this {
    super.unpipe(destination);
    this.destroy();
    return this;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#most) callback(payloadTooLarge(this.#most, this.#bytes));
    else callback(null, chunk);
  }
}

/** Bytes the request's head declares for its body; null when it comes in chunks of unknown number. */
export function declaredBytes(request: IncomingMessage): number | null {
  if (request.headers['transfer-encoding'] !== undefined) return null;
  return Number(request.headers['content-length'] ?? 0);
}

/** Throws PAYLOAD_TOO_LARGE when the request's head already says that its body has more than `most` bytes. */
export function checkDeclaredBytes(request: IncomingMessage, most: number): void {
  const bytes = declaredBytes(request);
  if (bytes !== null && bytes > most) throw payloadTooLarge(most, bytes);
}

/** Says `100 Continue` to a client that asked first (RFC 9110, section 10.1.1): only now is the body wanted. */
export function inviteBody(context: HttpContext): void {
  if (context.get('Expect').toLowerCase() === '100-continue') context.res.writeContinue();
}

/** Throws UNSUPPORTED_MEDIA_TYPE for a body that is compressed. */
export function checkEncoding(context: HttpContext): void {
  const encoding = context.get('Content-Encoding');
  if (encoding !== '' && encoding !== 'identity') throw unsupportedBody('no Content-Encoding', encoding);
}

/** The UNSUPPORTED_MEDIA_TYPE for a body that is not declared as what was `expected`. */
export function unsupportedBody(expected: string, received: string): DarkroomError {
  const shown = received === '' ? 'none' : `'${received.slice(0, 60)}'`;
  return new DarkroomError('UNSUPPORTED_MEDIA_TYPE', `Expected ${expected} for the request's body, received ${shown}`);
}

function payloadTooLarge(most: number, bytes: number): DarkroomError {
  return new DarkroomError('PAYLOAD_TOO_LARGE', `Expected at most ${most} bytes for the upload, received ${bytes}`);
}
