/** Bytes that {@link strayBytes} looks at. */
export const STRAY_WINDOW = 512;

/** The shortest block whose loss changes pixels, a graphic control extension, in bytes. */
const SHORTEST_BLOCK = 8;
/** Block introducers (GIF89a, appendix A). */
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
/** The first byte after the label of each extension: the length of its first sub-block. Comments have any length. */
const EXTENSION_LENGTHS: ReadonlyMap<number, number> = new Map([
  [0x01, 12],
  [0xf9, 4],
  [0xff, 11],
]);
const COMMENT = 0xfe;

/**
 * The number of bytes before the next block of a GIF, where `window` starts with a byte that begins no block. Null when
 * no block follows, or when so many other bytes than zeros stand before it that they may be a damaged block. Server A
 * counts frames by this rule and Server B removes the bytes by it, so that both see the same frames.
 */
export function strayBytes(window: Uint8Array): number | null {
  let isZero = true;
  for (let offset = 0; offset < Math.min(window.length, STRAY_WINDOW); offset += 1) {
    if (!isZero && offset >= SHORTEST_BLOCK) return null;
    if (offset > 0 && isBlock(window, offset)) return offset;
    isZero &&= window[offset] === 0;
  }
  return null;
}

function isBlock(window: Uint8Array, offset: number): boolean {
  const introducer = window[offset];
  if (introducer !== EXTENSION) return introducer === IMAGE || introducer === TRAILER;
  const label = window[offset + 1];
  return label === COMMENT || (label !== undefined && EXTENSION_LENGTHS.get(label) === window[offset + 2]);
}
