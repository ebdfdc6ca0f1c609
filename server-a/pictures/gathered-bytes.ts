/** Pieces that are joined when there are as many, because each takes memory beside its bytes. */
const MOST_PIECES = 64;

/** Bytes that arrive in pieces and are gathered in memory. */
export class GatheredBytes {
  /** All pieces but those of the rest in one buffer, which nobody else has. */
  #joined: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(0);
  #rest: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a piece, which must not change afterwards. */
  add(piece: Uint8Array): void {
    // A piece of a much larger buffer would keep all of it in memory.
    this.#rest.push(2 * piece.length < piece.buffer.byteLength ? joined([piece], piece.length) : piece);
    this.#length += piece.length;
    if (this.#rest.length === MOST_PIECES) this.join();
  }

  /** All bytes so far, in a buffer of exactly their length. Adding more leaves it as it is. */
  join(): Buffer<ArrayBuffer> {
    if (this.#rest.length > 0) this.#joined = joined([this.#joined, ...this.#rest], this.#length);
    this.#rest = [];
    return this.#joined;
  }

  /** Like {@link join}; the caller owns the buffer, and nothing is left here. */
  take(): Buffer<ArrayBuffer> {
    const bytes = this.join();
    this.clear();
    return bytes;
  }

  clear(): void {
    this.#joined = Buffer.allocUnsafeSlow(0);
    this.#rest = [];
    this.#length = 0;
  }
}

/** The bytes in a buffer of their own, not in one from Node's pool. */
function joined(pieces: readonly Uint8Array[], length: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let end = 0;
  for (const piece of pieces) {
    bytes.set(piece, end);
    end += piece.length;
  }
  return bytes;
}
