import { z } from 'zod';

/** Picture formats that are read and written, by the name clients use. */
export const FORMATS = ['jpeg', 'png', 'webp', 'avif', 'gif', 'tiff'] as const;

/** Schema of a picture format's name. */
export const formatSchema = z.enum(FORMATS);
export type Format = z.infer<typeof formatSchema>;

/** Picture formats that are read: HEIC is never written. */
export const INPUT_FORMATS = [...FORMATS, 'heic'] as const;

/** Schema of the name of a format that is read. */
export const inputFormatSchema = z.enum(INPUT_FORMATS);
export type InputFormat = z.infer<typeof inputFormatSchema>;

/** The media type of each format (IANA registry). */
export const MEDIA_TYPES: Readonly<Record<InputFormat, string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  avif: 'image/avif',
  gif: 'image/gif',
  tiff: 'image/tiff',
  heic: 'image/heic',
};

/**
 * The format of an output that does not name one: the input's. For HEIC, which is not written, JPEG, or PNG where the
 * picture has an alpha channel.
 */
export function defaultFormat({ format, alpha }: { readonly format: InputFormat; readonly alpha: boolean }): Format {
  if (format !== 'heic') return format;
  return alpha ? 'png' : 'jpeg';
}

/** Width and height in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The size of a picture scaled by a factor: each side max(1, round(side × factor)) pixels. */
export function scaledSize({ width, height }: Size, factor: number): Size {
  return { width: scaledSide(width, factor), height: scaledSide(height, factor) };
}

/** max(1, round(side × factor)) pixels. */
export function scaledSide(side: number, factor: number): number {
  return Math.max(1, Math.round(side * factor));
}

/** True for formats that hold several frames; in all others a picture has one. */
export function holdsAnimation(format: Format): boolean {
  return format === 'gif' || format === 'webp';
}

/** True for formats that hold transparency. */
export function holdsAlpha(format: Format): boolean {
  return format !== 'jpeg';
}

/** True for formats that can be written with and without loss. */
export function choosesLoss(format: Format): boolean {
  return format === 'webp' || format === 'avif';
}
