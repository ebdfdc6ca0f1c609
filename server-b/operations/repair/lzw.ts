/** The longest code in bits, and the number of codes. */
const MAX_CODE_BITS = 12;
const MAX_CODES = 1 << MAX_CODE_BITS;

/**
 * True when a GIF's LZW data (GIF89a, appendix F) has a code for every pixel. `start` is the offset of the code size,
 * which the sub-blocks follow; `pixels` is the number of pixels in the frame.
 */
export function hasAllPixels(body: Uint8Array, start: number, pixels: number): boolean {
  const codeSize = body[start] ?? 0;
  if (codeSize < 1 || codeSize >= MAX_CODE_BITS) return false;
  const clear = 1 << codeSize;
  /** The number of pixels that each code stands for. */
  const lengths = new Uint32Array(MAX_CODES).fill(1, 0, clear);
  let next = clear + 2;
  let width = codeSize + 1;
  let before = -1;
  let left = pixels;
  let bits = 0;
  let count = 0;
  for (const byte of subBlockBytes(body, start + 1)) {
    bits |= byte << count;
    count += 8;
    while (count >= width) {
      const code = bits & ((1 << width) - 1);
      bits >>>= width;
      count -= width;
      if (code === clear + 1) return false;
      if (code === clear) {
        next = clear + 2;
        width = codeSize + 1;
        before = -1;
        continue;
      }
      if (code > next || (before < 0 && code >= clear)) return false;
      const grown = (lengths[before] ?? 0) + 1;
      if (before >= 0 && next < MAX_CODES) {
        lengths[next] = grown;
        next += 1;
      }
      if (next === 1 << width && width < MAX_CODE_BITS) width += 1;
      left -= lengths[code] ?? 0;
      if (left <= 0) return true;
      before = code;
    }
  }
  return false;
}

/** The bytes in a chain of sub-blocks, which an empty one ends. */
function* subBlockBytes(body: Uint8Array, start: number): Generator<number> {
  let offset = start;
  for (;;) {
    const length = body[offset] ?? 0;
    if (length === 0) return;
    yield* body.subarray(offset + 1, offset + 1 + length);
    offset += 1 + length;
  }
}
