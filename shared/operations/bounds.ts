// Words and numbers that help and schemas share; nothing here loads a library.

/** The longest side that may be asked for, in pixels. */
export const MAX_SIDE = 16_384;
/** The largest scale factor. */
export const MAX_SCALE_FACTOR = 10;
/** How a picture is laid into a box of another shape, in CSS object-fit's words and sharp's. */
export const FITS = ['cover', 'contain', 'fill', 'inside', 'outside'] as const;
/** What of the picture `cover` keeps: a side, a corner, or what sharp finds most interesting. */
export const GRAVITIES = [
  'north',
  'northeast',
  'east',
  'southeast',
  'south',
  'southwest',
  'west',
  'northwest',
  'center',
  'centre',
  'attention',
  'entropy',
] as const;
