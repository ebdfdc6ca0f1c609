import { counted, DAMAGED, type Edit, type Examination, UNKNOWN } from './edits.ts';
import { type JpegPart, readParts, readU16, type Scan, type Segment } from './jpeg-parts.ts';
import { addTables, type Frame, hasAllScans, noteScan, readFrame, readScanData, type Tables } from './jpeg-scan.ts';

/** Marker codes (ITU-T T.81, table B.1). */
const HUFFMAN_TABLES = 0xc4;
const RESTART_0 = 0xd0;
const END_OF_IMAGE = 0xd9;
const RESTART_INTERVAL = 0xdd;
const APPLICATION_0 = 0xe0;
const APPLICATION_14 = 0xee;
/** Codes in the range of start-of-frame markers that have another meaning: DHT, JPG, DAC. */
const NOT_FRAMES: ReadonlySet<number> = new Set([HUFFMAN_TABLES, 0xc8, 0xcc]);
/** The last three bytes of a scan header in sequential coding: all coefficients, with all their bits. */
const SEQUENTIAL_SCAN = Uint8Array.of(0, 63, 0);
/** Bytes that a JFIF and an Adobe segment have at least; the last byte of the Adobe one names the colour transform. */
const JFIF_BYTES = 14;
const ADOBE_BYTES = 12;

/**
 * Finds what a strict JPEG decoder refuses although no pixel depends on it, and whether all pixels are there: stray bytes
 * between segments, scan headers of a sequential picture that name coefficients, restart markers with wrong numbers, zero
 * bytes after the data, an unknown JFIF version or Adobe transform, a missing end marker.
 *
 * Of a sequential picture every block is read. A progressive one is `whole` here if it has an end marker or all scans:
 * libjpeg reads the scans before the first row, so that a strict decode finds all damage in them. A picture with
 * arithmetic coding is `unknown`: its decoder reads on past the end of the data without a warning.
 */
export function examineJpeg(body: Uint8Array): Examination {
  const parts = readParts(body);
  return parts === null ? DAMAGED : new JpegExaminer(body).examine(parts);
}

/**
 * True for a sequential JPEG with damage that libvips may miss, because it fails at a warning of libjpeg only when it
 * reads further rows: blocks that are missing or wrong, restart markers with wrong numbers.
 */
export function hasHiddenDamage(body: Uint8Array): boolean {
  const parts = readParts(body);
  return parts !== null && new JpegExaminer(body).hasHiddenDamage(parts);
}

type Pixels = Examination['pixels'];

class JpegExaminer {
  readonly #body: Uint8Array;
  readonly #edits: Edit[] = [];
  readonly #tables: Tables = new Map();
  #frame: Frame | null = null;
  /** Minimum coded units between restart markers; 0 without them. */
  #interval = 0;
  #hasJfif = false;
  #hasOldJfif = false;
  #adobe: Segment | null = null;
  #stray = 0;
  #scanHeaders = 0;
  #restarts = 0;
  #zeros = 0;

  constructor(body: Uint8Array) {
    this.#body = body;
  }

  examine(parts: readonly JpegPart[]): Examination {
    let before: JpegPart | undefined;
    for (const part of parts) {
      const pixels = this.#examinePart(part, before);
      if (pixels !== 'whole') return pixels === 'unknown' ? UNKNOWN : DAMAGED;
      before = part;
    }
    const frame = this.#frame;
    if (frame === null) return DAMAGED;
    const hasOtherTransform = this.#correctTransform(frame);
    const hasEnd = before?.kind === 'end';
    if (!hasEnd && !hasAllScans(frame)) return DAMAGED;
    if (!hasEnd) this.#addEnd();
    const warnings = [
      this.#stray > 0 && `Removed ${counted(this.#stray, 'stray byte')} between JPEG segments.`,
      this.#hasOldJfif && 'Corrected an unknown JFIF version.',
      hasOtherTransform && 'Corrected an unknown Adobe colour transform.',
      this.#scanHeaders > 0 && `Corrected ${counted(this.#scanHeaders, 'JPEG scan header')}.`,
      this.#restarts > 0 && `Corrected the number of ${counted(this.#restarts, 'JPEG restart marker')}.`,
      this.#zeros > 0 && `Removed ${counted(this.#zeros, 'zero byte')} after JPEG data.`,
      !hasEnd && 'Added the missing JPEG end marker.',
    ].filter((warning) => warning !== false);
    return { edits: this.#edits.toSorted((one, other) => one.at - other.at), warnings, pixels: 'whole' };
  }

  hasHiddenDamage(parts: readonly JpegPart[]): boolean {
    const { pixels } = this.examine(parts);
    return this.#frame?.coding === 'sequential' && (pixels === 'damaged' || this.#restarts > 0);
  }

  #examinePart(part: JpegPart, before: JpegPart | undefined): Pixels {
    switch (part.kind) {
      case 'stray':
        return this.#examineStray(part.start, part.end, before);
      case 'segment':
        return this.#examineSegment(part);
      case 'scan':
        return this.#examineScan(part);
      default:
        return 'whole';
    }
  }

  /**
   * Removes stray bytes. They are damage if they are a segment whose marker is damaged: such a segment has its length in
   * the third and fourth byte, or in the first two after a marker that should have no content.
   */
  #examineStray(start: number, end: number, before: JpegPart | undefined): Pixels {
    const length = end - start;
    const isSegment = length >= 4 && readU16(this.#body, start + 2) === length - 2;
    if (isSegment || before?.kind === 'lone-marker') return 'damaged';
    this.#stray += length;
    this.#edit(start, length);
    return 'whole';
  }

  #examineSegment(segment: Segment): Pixels {
    const { code, start } = segment;
    if (code === HUFFMAN_TABLES) return addTables(this.#tables, this.#body, segment) ? 'whole' : 'damaged';
    if (code === RESTART_INTERVAL) this.#interval = readU16(this.#body, start);
    if (code === APPLICATION_0 && this.#has(segment, 'JFIF\0', JFIF_BYTES)) {
      this.#hasJfif = true;
      this.#correctVersion(start + 5);
    }
    if (code === APPLICATION_14 && this.#has(segment, 'Adobe', ADOBE_BYTES)) this.#adobe = segment;
    if (code < 0xc0 || code > 0xcf || NOT_FRAMES.has(code)) return 'whole';
    if (this.#frame !== null) return 'damaged';
    this.#frame = readFrame(this.#body, segment);
    return this.#frame === null || this.#frame.coding === 'other' ? 'unknown' : 'whole';
  }

  #examineScan(scan: Scan): Pixels {
    const frame = this.#frame;
    if (frame === null || !noteScan(this.#body, frame, scan)) return 'damaged';
    this.#numberRestarts(scan.restarts);
    if (frame.coding === 'progressive') {
      this.#removeZeros(scan);
      return 'whole';
    }
    const at = scan.end - SEQUENTIAL_SCAN.length;
    if (SEQUENTIAL_SCAN.some((value, index) => this.#body[at + index] !== value)) {
      this.#scanHeaders += 1;
      this.#edit(at, SEQUENTIAL_SCAN.length, SEQUENTIAL_SCAN);
    }
    const data = readScanData(this.#body, frame, scan, this.#tables, this.#interval);
    if (data === 'damaged' || data === 'unknown') return data;
    for (const padding of data) this.#removePadding(padding.at, padding.length);
    return 'whole';
  }

  /** Restart markers count from 0 to 7 again and again, from 0 in each scan (ITU-T T.81, section B.2.1). */
  #numberRestarts(restarts: readonly number[]): void {
    for (const [index, marker] of restarts.entries()) {
      let at = marker + 1;
      while (this.#body[at] === 0xff) at += 1;
      const code = RESTART_0 + (index % 8);
      if (this.#body[at] === code) continue;
      this.#restarts += 1;
      this.#edit(at, 1, Uint8Array.of(code));
    }
  }

  /** Removes zero bytes at the end of each interval of a scan; one after 0xFF belongs to the data. */
  #removeZeros({ dataStart, dataEnd, restarts }: Scan): void {
    for (const end of [...restarts, dataEnd]) {
      let start = end;
      while (start > dataStart && this.#body[start - 1] === 0) start -= 1;
      if (this.#body[start - 1] === 0xff) start += 1;
      if (start < end) this.#removePadding(start, end - start);
    }
  }

  #removePadding(at: number, length: number): void {
    this.#zeros += length;
    this.#edit(at, length);
  }

  #correctVersion(at: number): void {
    if (this.#body[at] === 1) return;
    this.#hasOldJfif = true;
    this.#edit(at, 1, Uint8Array.of(1));
  }

  /** Replaces an unknown colour transform by the one that libjpeg then assumes (its jdapimin.c). */
  #correctTransform({ components }: Frame): boolean {
    if (this.#adobe === null) return false;
    const at = this.#adobe.start + ADOBE_BYTES - 1;
    const usual = components.length === 4 ? 2 : 1;
    const isKnown = this.#body[at] === 0 || this.#body[at] === usual;
    if (isKnown || components.length < 3 || (components.length === 3 && this.#hasJfif)) return false;
    this.#edit(at, 1, Uint8Array.of(usual));
    return true;
  }

  /** Adds the end marker. Its first byte, 0xFF, may be there already. */
  #addEnd(): void {
    const isHalf = this.#body.at(-1) === 0xff;
    this.#edit(this.#body.length, 0, isHalf ? Uint8Array.of(END_OF_IMAGE) : Uint8Array.of(0xff, END_OF_IMAGE));
  }

  #edit(at: number, remove: number, insert = new Uint8Array()): void {
    this.#edits.push({ at, remove, insert });
  }

  #has({ start, end }: Segment, text: string, bytes: number): boolean {
    if (end - start < bytes) return false;
    return Array.from(text).every((character, index) => this.#body[start + index] === character.charCodeAt(0));
  }
}
