/** The longest code in bits, and the number of codes. */
const MAX_CODE_BITS = 12;
const MAX_CODES = 1 << MAX_CODE_BITS;

/**
 * The offset of the byte in a GIF's LZW data (GIF89a, appendix F) that completes the last pixel; null when pixels are
 * missing. `start` is the offset of the code size, which the sub-blocks follow; `pixels` is their number in the frame.
 */
export function findLastPixel(body: Uint8Array, start: number, pixels: number): number | null {
  const codeSize = body[start] ?? 0;
  if (codeSize < 1 || codeSize >= MAX_CODE_BITS) return null;
  const clear = 1 << codeSize;
  /** The number of pixels that each code stands for. */
  const lengths = new Uint32Array(MAX_CODES).fill(1, 0, clear);
  let next = clear + 2;
  let width = codeSize + 1;
  let before = -1;
  let left = pixels;
  let bits = 0;
  let count = 0;
  for (const offset of dataOffsets(body, start + 1)) {
    bits |= (body[offset] ?? 0) << count;
    count += 8;
    while (count >= width) {
      const code = bits & ((1 << width) - 1);
      bits >>>= width;
      count -= width;
      if (code === clear + 1) return null;
      if (code === clear) {
        next = clear + 2;
        width = codeSize + 1;
        before = -1;
        continue;
      }
      if (code > next || (before < 0 && code >= clear)) return null;
      const grown = (lengths[before] ?? 0) + 1;
      if (before >= 0 && next < MAX_CODES) {
        lengths[next] = grown;
        next += 1;
      }
      if (next === 1 << width && width < MAX_CODE_BITS) width += 1;
      left -= lengths[code] ?? 0;
      if (left <= 0) return offset;
      before = code;
    }
  }
  return null;
}

/** The offsets of the bytes in a chain of sub-blocks, which an empty one ends. */
function* dataOffsets(body: Uint8Array, start: number): Generator<number> {
  let offset = start;
  for (;;) {
    const length = body[offset] ?? 0;
    const end = Math.min(offset + 1 + length, body.length);
    if (length === 0) return;
    for (offset += 1; offset < end; offset += 1) yield offset;
  }
}
