import type { Sharp } from 'sharp';
import type { ResizeParameters } from '../../shared/operations/resize.ts';
import type { Anchor } from './cover.ts';

/** Where each compass point is in a picture. `attention` and `entropy` are not here: they count as the centre. */
const ANCHORS: Readonly<Record<string, Anchor>> = {
  north: { across: 0.5, down: 0 },
  northeast: { across: 1, down: 0 },
  east: { across: 1, down: 0.5 },
  southeast: { across: 1, down: 1 },
  south: { across: 0.5, down: 1 },
  southwest: { across: 0, down: 1 },
  west: { across: 0, down: 0.5 },
  northwest: { across: 0, down: 0 },
};

/** Mirrors the picture, then turns it clockwise: `flip`, `flop`, `rotate`, in sharp's own order. */
export function turn(pipeline: Sharp, { rotate = 0, flip = false, flop = false }: ResizeParameters): Sharp {
  return pipeline.flip(flip).flop(flop).rotate(rotate);
}

/** The turn that makes a picture with an EXIF orientation, 1 to 8, upright (Exif 2.3, section 4.6.4, tag 274). */
export function uprightTurn(orientation: number): Pick<ResizeParameters, 'rotate' | 'flip' | 'flop'> {
  const rotate = ([0, 0, 180, 0, 270, 90, 90, 270] as const)[orientation - 1] ?? 0;
  return { rotate, flip: orientation === 4, flop: [2, 5, 7].includes(orientation) };
}

/** The part of the turned picture that `gravity` keeps, as its place in the picture before it is turned. */
export function anchorBeforeTurn({ gravity = 'centre', rotate = 0, flip, flop }: ResizeParameters): Anchor {
  const { across, down } = rotateBack(ANCHORS[gravity] ?? { across: 0.5, down: 0.5 }, rotate);
  return { across: flop === true ? 1 - across : across, down: flip === true ? 1 - down : down };
}

function rotateBack({ across, down }: Anchor, degrees: number): Anchor {
  if (degrees === 90) return { across: down, down: 1 - across };
  if (degrees === 180) return { across: 1 - across, down: 1 - down };
  return degrees === 270 ? { across: 1 - down, down: across } : { across, down };
}
