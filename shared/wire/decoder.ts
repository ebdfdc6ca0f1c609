import { decodeHeader, type FrameKind, HEADER_BYTES } from './frame.ts';

/** Callbacks for what the decoder reads. `push` throws the errors of the handlers. */
export interface FrameHandlers {
  /** A header; called before memory is allocated for the payload. Throws when the state does not allow such a frame. */
  admit(kind: FrameKind, length: number): void;
  /** A whole frame other than DATA. */
  control(kind: Exclude<FrameKind, 'DATA'>, payload: Buffer): void;
  /** Some bytes of a DATA payload, at least one: a view of the pushed chunk. */
  data(piece: Buffer): void;
}

/**
 * Splits a byte stream into frames. DATA is passed on in the pieces in which it arrives, without a copy; control
 * payloads are collected. The same bytes give the same frames, however they are split into chunks.
 */
export class FrameDecoder {
  readonly #handlers: FrameHandlers;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #kind: FrameKind = 'BEAT';
  #left = 0;
  #payload: Buffer = Buffer.alloc(0);
  #payloadFilled = 0;

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  /** Reads the next bytes of the stream. Throws BAD_REQUEST at the first invalid header; push nothing after that. */
  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      offset += this.#headerFilled < HEADER_BYTES ? this.#takeHeader(chunk, offset) : this.#takePayload(chunk, offset);
    }
  }

  #takeHeader(chunk: Buffer, offset: number): number {
    const taken = chunk.copy(this.#header, this.#headerFilled, offset);
    this.#headerFilled += taken;
    if (this.#headerFilled < HEADER_BYTES) return taken;
    const { kind, length } = decodeHeader(this.#header);
    this.#handlers.admit(kind, length);
    this.#kind = kind;
    this.#left = length;
    if (kind === 'DATA') return taken;
    this.#payload = Buffer.allocUnsafe(length);
    this.#payloadFilled = 0;
    if (length === 0) this.#endControl(kind);
    return taken;
  }

  #takePayload(chunk: Buffer, offset: number): number {
    const piece = chunk.subarray(offset, offset + this.#left);
    this.#left -= piece.length;
    const kind = this.#kind;
    if (kind === 'DATA') {
      if (this.#left === 0) this.#headerFilled = 0;
      this.#handlers.data(piece);
      return piece.length;
    }
    this.#payloadFilled += piece.copy(this.#payload, this.#payloadFilled);
    if (this.#left === 0) this.#endControl(kind);
    return piece.length;
  }

  #endControl(kind: Exclude<FrameKind, 'DATA'>): void {
    this.#headerFilled = 0;
    this.#handlers.control(kind, this.#payload);
  }
}
