import { bytes, segment } from './hand-made.ts';

/** The grey values that the blocks can have, as steps from the middle grey, in six bits. */
const STEPS = 63;

/** What a {@link restartJpeg} has otherwise than it should. */
export interface RestartFaults {
  /** The number of each restart marker; by default 0 to 7, again and again. */
  readonly number?: (index: number) => number;
  /** Bytes before each restart marker. */
  readonly before?: Uint8Array;
  /** Index of a block that is left out, with the restart marker after it. */
  readonly without?: number;
}

/** A grey baseline JPEG of 8 pixels × 8 for each block, one below the other, and a restart marker after each block. */
export function restartJpeg(blocks: number, { number = (index) => index % 8, before, without }: RestartFaults = {}) {
  const quantization = segment(0xdb, bytes(0), Buffer.alloc(64, 8));
  const frame = segment(0xc0, bytes(8, blocks >> 5, (blocks << 3) & 0xff, 0, 8, 1, 1, 0x11, 0));
  // Two DC codes: 0 for a difference of nothing, 10 for one of six bits. One AC code: 0 for the end of the block.
  const dc = segment(0xc4, bytes(0x00, 1, 1), Buffer.alloc(14), bytes(0, 6));
  const ac = segment(0xc4, bytes(0x10, 1), Buffer.alloc(15), bytes(0));
  const interval = segment(0xdd, bytes(0, 1));
  const scan = segment(0xda, bytes(1, 1, 0, 0, 63, 0));
  const data: Uint8Array[] = [];
  for (let index = 0; index < blocks; index += 1) {
    if (index === without) continue;
    data.push(blockOf((index * 5) % STEPS));
    if (index < blocks - 1) data.push(before ?? bytes(), bytes(0xff, 0xd0 + number(index)));
  }
  return bytes(0xff, 0xd8, quantization, frame, dc, ac, interval, scan, ...data, 0xff, 0xd9);
}

/** The bits 10, six bits of the step, 0, and 1 up to the next byte. */
function blockOf(step: number): Buffer {
  return bytes(0x80 | step, 0x7f);
}
