import { FrameDecoder } from '../../shared/wire/decoder.ts';
import type { FrameKind } from '../../shared/wire/frame.ts';

/** A frame with its whole payload. */
export interface Frame {
  readonly kind: FrameKind;
  readonly payload: Buffer;
}

/** A decoder that records, in order, the `admitted` headers and the complete `frames`. */
export class RecordedDecoder {
  readonly admitted: { readonly kind: FrameKind; readonly length: number }[] = [];
  readonly frames: Frame[] = [];
  readonly #decoder: FrameDecoder;
  #pieces: Buffer[] = [];
  #left = 0;

  /** `admit` is called after the header is recorded; when it throws, the frame is refused. */
  constructor(admit: (kind: FrameKind, length: number) => void = () => {}) {
    this.#decoder = new FrameDecoder({
      admit: (kind, length) => {
        this.admitted.push({ kind, length });
        admit(kind, length);
        this.#pieces = [];
        this.#left = length;
      },
      control: (kind, payload) => this.frames.push({ kind, payload: Buffer.from(payload) }),
      data: (piece) => this.#gather(piece),
    });
  }

  push(chunk: Buffer): void {
    this.#decoder.push(chunk);
  }

  #gather(piece: Buffer): void {
    if (piece.length === 0) throw new Error('Expected a piece of at least one byte of DATA, received none');
    this.#pieces.push(Buffer.from(piece));
    this.#left -= piece.length;
    if (this.#left === 0) this.frames.push({ kind: 'DATA', payload: Buffer.concat(this.#pieces) });
  }
}
