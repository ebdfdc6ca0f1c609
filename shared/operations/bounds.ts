// Constants that the command line's help and the schemas share. This file imports no library.

/** The longest side that may be asked for, in pixels. */
export const MAX_SIDE = 16_384;
/** The largest scale factor. */
export const MAX_SCALE_FACTOR = 10;
/** How a picture fits a box of another shape; the names are those of CSS object-fit and sharp. */
export const FITS = ['cover', 'contain', 'fill', 'inside', 'outside'] as const;
/** The part of the picture that `cover` keeps: a side, a corner, or the region that sharp finds most interesting. */
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
