import { z } from 'zod';
import { inputFormatSchema } from './operations/format.ts';

/**
 * A picture's header, read without decoding. `width` and `height` are upright pixels, after EXIF orientation. The
 * decoded picture has frames × width × height × channels × depth / 8 bytes.
 */
export const imageHeaderSchema = z.object({
  format: inputFormatSchema,
  /** Pixels across, upright. */
  width: z.int().positive(),
  /** Pixels down one frame, upright. */
  height: z.int().positive(),
  /** Pictures in an animated GIF or WebP; 1 for everything else. */
  frames: z.int().positive(),
  /** Values per pixel as decoded: grey, RGB or CMYK, with or without alpha, and the `extras`. */
  channels: z.int().min(1).max(64),
  /** Channels after the colours that are dropped after decoding (TIFF); absent where there are none. */
  extras: z.int().positive().optional(),
  /** Bits per value as decoded: 8, 16 or 32. */
  depth: z.union([z.literal(8), z.literal(16), z.literal(32)]),
  alpha: z.boolean(),
  /**
   * Progressive JPEG, interlaced PNG or GIF, lossless WebP, TIFF in planes, HEIC that is not a grid: the decoder holds
   * the whole picture in memory at once.
   */
  progressive: z.boolean(),
  /** EXIF orientation, 1 to 8 (CIPA DC-008, tag 0x0112); 1 where there is none. */
  orientation: z.int().min(1).max(8),
  /** Place in the file of the picture that is decoded, from 0, where it is not the first. */
  page: z.int().positive().optional(),
  /** Its place among the SubIFDs of that page (TIFF), from 0, where it is one of them. */
  subifd: z.int().nonnegative().optional(),
  /** Pages of a TIFF without thumbnails and masks, where there are several. */
  pages: z.int().positive().optional(),
  /** True where the decoder's warnings are about the header, so that they do not fail the picture (TIFF); else absent. */
  lenient: z.literal(true).optional(),
  /**
   * Pixels that are decoded where these are more than width × height: of an AVIF or HEIC with a clean aperture, or with
   * tiles that exceed it.
   */
  codedPixels: z.int().positive().optional(),
});
export type ImageHeader = z.infer<typeof imageHeaderSchema>;
