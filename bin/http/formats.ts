import { type Format, INPUT_FORMATS, type InputFormat } from '../../shared/operations/format.ts';

/** File name extensions of each format, in lower case, the usual one first. */
const EXTENSIONS: Readonly<Record<InputFormat, readonly [string, ...string[]]>> = {
  jpeg: ['.jpg', '.jpeg', '.jpe', '.jfif'],
  png: ['.png'],
  webp: ['.webp'],
  avif: ['.avif'],
  gif: ['.gif'],
  tiff: ['.tif', '.tiff'],
  heic: ['.heic', '.heif', '.hif'],
};

/** The format of an extension such as `.JPG`, if there is one. */
export function formatOfExtension(extension: string): InputFormat | undefined {
  return INPUT_FORMATS.find((format) => EXTENSIONS[format].includes(extension.toLowerCase()));
}

/** The extension for a picture of `format`: `original` when it is one of that format, else the usual one. */
export function extensionFor(format: Format, original: string): string {
  return formatOfExtension(original) === format ? original : EXTENSIONS[format][0];
}
