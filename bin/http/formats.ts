import { FORMATS, type Format } from '../../shared/operations/format.ts';

/** File name extensions of each format, in lower case, the customary one first. */
const EXTENSIONS: Readonly<Record<Format, readonly [string, ...string[]]>> = {
  jpeg: ['.jpg', '.jpeg', '.jpe', '.jfif'],
  png: ['.png'],
  webp: ['.webp'],
  avif: ['.avif'],
  gif: ['.gif'],
  tiff: ['.tif', '.tiff'],
};

/** The format an extension such as `.JPG` stands for, if any. */
export function formatOfExtension(extension: string): Format | undefined {
  return FORMATS.find((format) => EXTENSIONS[format].includes(extension.toLowerCase()));
}

/** The extension for a picture of `format`: the one it came with where that fits, else the customary one. */
export function extensionFor(format: Format, original: string): string {
  return formatOfExtension(original) === format ? original : EXTENSIONS[format][0];
}
