import { Transform, type TransformCallback } from 'node:stream';
import { DarkroomError } from '../../shared/errors.ts';

/** Counts a fetched picture's bytes: fails with PAYLOAD_TOO_LARGE as soon as they are too many, SOURCE_ERROR for none. */
export class FetchedBody extends Transform {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
    // A failure before the reader has come is told when it reads.
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

/** `received`: bytes. */
export function payloadTooLarge(maxBytes: number, received: string): DarkroomError {
  return new DarkroomError(
    'PAYLOAD_TOO_LARGE',
    `Expected at most ${maxBytes} bytes for the picture, received ${received}`,
  );
}

/** What becomes of an answer without a picture. */
export function emptyBody(): DarkroomError {
  return new DarkroomError('SOURCE_ERROR', 'Expected a picture from the URL, received no bytes');
}
