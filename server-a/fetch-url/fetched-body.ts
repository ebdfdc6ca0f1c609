import { Transform, type TransformCallback } from 'node:stream';
import { DarkroomError } from '../../shared/errors.ts';

/**
 * Passes a picture's bytes on and counts them. Fails with PAYLOAD_TOO_LARGE above the limit, SOURCE_ERROR for no bytes.
 */
export class FetchedBody extends Transform {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
    // Without a listener, a failure before the first read would end the process. The read gets the error.
    this.on('error', () => {});
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) callback(payloadTooLarge(this.#maxBytes, `${this.#bytes} or more`));
    else callback(null, chunk);
  }

  override _flush(callback: TransformCallback): void {
    callback(this.#bytes === 0 ? emptyBody() : null);
  }
}

/** The error for a body above the limit; `received` is its length in words. */
export function payloadTooLarge(maxBytes: number, received: string): DarkroomError {
  return new DarkroomError(
    'PAYLOAD_TOO_LARGE',
    `Expected at most ${maxBytes} bytes for the picture, received ${received}`,
  );
}

/** The error for an empty body. */
export function emptyBody(): DarkroomError {
  return new DarkroomError('SOURCE_ERROR', 'Expected a picture from the URL, received no bytes');
}
