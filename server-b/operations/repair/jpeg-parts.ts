/** Marker codes (ITU-T T.81, table B.1). */
const START_OF_IMAGE = 0xd8;
const END_OF_IMAGE = 0xd9;
const START_OF_SCAN = 0xda;
const TEMPORARY = 0x01;

/** A marker segment; `start` and `end` are the offsets of its content, after the length. */
export interface Segment {
  readonly kind: 'segment';
  readonly code: number;
  readonly start: number;
  readonly end: number;
}

/** A scan: the content of its header, and its entropy-coded data. */
export interface Scan {
  readonly kind: 'scan';
  readonly start: number;
  readonly end: number;
  readonly dataStart: number;
  /** Offset of the marker after the data, or of the file's end. */
  readonly dataEnd: number;
  /** Offsets of the restart markers in the data. */
  readonly restarts: readonly number[];
}

/** A part of a JPEG file, in the order of the file. */
export type JpegPart =
  | Segment
  | Scan
  /** Bytes between segments that belong to none. */
  | { readonly kind: 'stray'; readonly start: number; readonly end: number }
  /** A marker without content: a restart marker outside of a scan, or TEM. */
  | { readonly kind: 'lone-marker' }
  | { readonly kind: 'end' };

/**
 * The parts of a JPEG file (ITU-T T.81, annex B), which starts with SOI. Bytes between segments are skipped as libjpeg
 * does (its jdmarker.c, `next_marker`). The last part is of kind `end` only if the file has an end marker. Gives null
 * for a file that cannot be divided into parts.
 */
export function readParts(body: Uint8Array): JpegPart[] | null {
  const parts: JpegPart[] = [];
  let offset = 2;
  for (;;) {
    const marker = findMarker(body, offset);
    if (marker > offset) parts.push({ kind: 'stray', start: offset, end: marker });
    const at = skipFill(body, marker);
    const code = body[at];
    if (code === undefined) return parts;
    offset = at + 1;
    if (code === END_OF_IMAGE) return [...parts, { kind: 'end' }];
    if (code === START_OF_IMAGE) return null;
    if (code === TEMPORARY || isRestart(code)) {
      parts.push({ kind: 'lone-marker' });
      continue;
    }
    const length = readU16(body, offset);
    const end = offset + length;
    if (length < 2 || end > body.length) return null;
    const content = { start: offset + 2, end };
    if (code === START_OF_SCAN) {
      const scan = readScan(body, content);
      parts.push(scan);
      offset = scan.dataEnd;
    } else {
      parts.push({ kind: 'segment', code, ...content });
      offset = end;
    }
  }
}

/** The unsigned 16-bit number at `offset`; 0 beyond the end. */
export function readU16(body: Uint8Array, offset: number): number {
  return ((body[offset] ?? 0) << 8) | (body[offset + 1] ?? 0);
}

function readScan(body: Uint8Array, { start, end }: { start: number; end: number }): Scan {
  const restarts: number[] = [];
  let offset = end;
  for (;;) {
    const marker = findMarker(body, offset);
    const at = skipFill(body, marker);
    const code = body[at] ?? END_OF_IMAGE;
    if (!isRestart(code)) return { kind: 'scan', start, end, dataStart: end, dataEnd: marker, restarts };
    restarts.push(marker);
    offset = at + 1;
  }
}

/** The offset of the next 0xFF that is not followed by 0x00; the body's length when there is none. */
function findMarker(body: Uint8Array, start: number): number {
  let offset = body.indexOf(0xff, start);
  while (offset >= 0 && body[offset + 1] === 0) offset = body.indexOf(0xff, offset + 2);
  return offset < 0 ? body.length : offset;
}

/** The offset of a marker's code, past its 0xFF and the fill bytes, which are 0xFF as well. */
function skipFill(body: Uint8Array, marker: number): number {
  let offset = marker;
  while (body[offset] === 0xff) offset += 1;
  return offset;
}

function isRestart(code: number): boolean {
  return code >= 0xd0 && code <= 0xd7;
}
