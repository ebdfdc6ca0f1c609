/** Signatures of common formats that Darkroom does not read: the name, the bytes, and their offset. */
const SIGNATURES: readonly (readonly [name: string, bytes: string, offset?: number])[] = [
  ['BMP', 'BM'],
  ['PDF', '%PDF-'],
  ['JPEG XL', '\xff\x0a'],
  ['JPEG XL', '\0\0\0\x0cJXL '],
  ['JPEG 2000', '\0\0\0\x0cjP  '],
  ['JPEG 2000', '\xff\x4f\xff\x51'],
  ['JPEG XR', 'II\xbc'],
  ['a Windows icon', '\0\0\x01\0'],
  ['a Photoshop document', '8BPS'],
  ['camera RAW (Olympus)', 'IIRO'],
  ['camera RAW (Olympus)', 'IIRS'],
  ['camera RAW (Olympus)', 'MMOR'],
  ['camera RAW (Panasonic)', 'IIU\0'],
  ['camera RAW (Fujifilm)', 'FUJIFILMCCD-RAW'],
  ['camera RAW (Canon CRW)', 'HEAPCCDR', 6],
  ['camera RAW (Minolta)', '\0MRM'],
  ['camera RAW (Sigma)', 'FOVb'],
  ['OpenEXR', '\x76\x2f\x31\x01'],
  ['Radiance HDR', '#?'],
  ['a ZIP archive', 'PK\x03\x04'],
  ['gzip', '\x1f\x8b'],
  ['a WAVE sound', 'WAVE', 8],
  ['an AVI video', 'AVI ', 8],
  ['a Matroska or WebM video', '\x1a\x45\xdf\xa3'],
];

/** The format of a file by its first bytes, in words for a client: "SVG", "a WAVE sound", "text". */
export function describeForeign(start: Uint8Array): string {
  if (start.length === 0) return 'an empty file';
  const text = latin1(start);
  if (text.slice(4, 8) === 'ftyp') return describeBrand(text.slice(8, 12));
  for (const [name, bytes, offset = 0] of SIGNATURES) {
    if (text.startsWith(bytes, offset)) return name;
  }
  return describeText(text) ?? 'an unknown format';
}

function describeBrand(brand: string): string {
  const shown = brand.replace(/[^ -~]/g, '?');
  if (brand === 'crx ') return 'camera RAW (Canon CR3)';
  return `a video or another ISO media file (brand '${shown}')`;
}

function describeText(text: string): string | undefined {
  const trimmed = text.replace(/^(\xef\xbb\xbf)?\s+/, '$1').replace(/^\xef\xbb\xbf/, '');
  if (/<svg[\s>]/i.test(text)) return 'SVG';
  if (/^<(!doctype html|html)/i.test(trimmed)) return 'HTML';
  if (trimmed.startsWith('<?xml')) return 'XML';
  return isText(trimmed) ? 'text' : undefined;
}

/** True when all bytes occur in UTF-8 text and none is a control character except white space. */
function isText(text: string): boolean {
  return !/[^\t\n\v\f\r -~\x80-\xbf\xc2-\xf4]/.test(text);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
