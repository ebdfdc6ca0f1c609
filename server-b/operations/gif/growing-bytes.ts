/** Bytes that grow as needed; reused for all frames of a picture. */
export class GrowingBytes {
  #bytes = new Uint8Array(65_536);
  length = 0;

  push(byte: number): void {
    if (this.length === this.#bytes.length) this.#grow(this.length + 1);
    this.#bytes[this.length] = byte;
    this.length += 1;
  }

  append(bytes: ArrayLike<number>): void {
    const end = this.length + bytes.length;
    if (end > this.#bytes.length) this.#grow(end);
    this.#bytes.set(bytes, this.length);
    this.length = end;
  }

  set(offset: number, byte: number): void {
    this.#bytes[offset] = byte;
  }

  /** A copy of the bytes that owns its memory. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, Math.ceil(this.#bytes.length * 1.5)));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}
