import sharp from 'sharp';
import { circle } from '../server-b/operations/circle.ts';
import { modelInput } from '../server-b/operations/classify.ts';
import { Deadline } from '../server-b/operations/deadline.ts';
import { Picture } from '../server-b/operations/picture.ts';
import { resize } from '../server-b/operations/resize.ts';
import type { Format } from '../shared/operations/format.ts';

// Compares the CPU of one decode at full size for all outputs with that of one decode for each output: the numbers
// behind shared/decode-plan.ts. Where the decoder shrinks on load, one shared decode costs more and makes worse
// pictures. The two take turns, so that other load on the machine affects both; the median of the ratios is printed.

const WIDTH = 3000;
const HEIGHT = 2000;
const ROUNDS = 5;
const LIMITS = { maxPixels: 100_000_000, maxSide: 16_384, maxDecodedMb: 400, maxFrames: 1000, maxAnimationSeconds: 10 };

sharp.cache(false);
sharp.concurrency(1);
for (const format of ['jpeg', 'webp', 'png', 'avif'] as const) {
  const body = await scene(format);
  for (const scale of [0.1, 0.25, 0.5, 0.75, 1]) {
    const ratios: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const each = await cpuOf(() => draw(body, format, scale, false));
      const shared = await cpuOf(() => draw(body, format, scale, true));
      ratios.push(shared / each);
    }
    const median = ratios.toSorted((one, other) => one - other)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
    console.log(`${format} at scale ${scale}: shared takes ${median.toFixed(2)} of the CPU of separate decodes`);
  }
}

/** A resize, a circle of four fifths of its height, and the pixels that classification reads. */
async function draw(body: Uint8Array<ArrayBuffer>, format: Format, scale: number, shared: boolean): Promise<void> {
  const header = { format, width: WIDTH, height: HEIGHT, frames: 1, channels: 3, depth: 8, orientation: 1 } as const;
  const image = { ...header, alpha: false, progressive: false };
  const picture = await Picture.open(body, image, LIMITS, new Deadline(600_000));
  const source = shared ? picture.sharing(await picture.decodeOnce(picture)) : picture;
  await resize(source, { name: 'resize', operation: 'resize', scale_factor: scale, format: 'jpeg' });
  const size = Math.round(HEIGHT * scale * 0.8);
  await circle(source, { name: 'circle', operation: 'circle', size, format: 'webp' });
  await modelInput(source);
}

/** Milliseconds of CPU, all threads of the process. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Smoothed noise: about as hard to decode as a photograph. */
async function scene(format: Format): Promise<Uint8Array<ArrayBuffer>> {
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 25 };
  const create = { width: WIDTH, height: HEIGHT, channels: 3 as const, background: '#888888', noise };
  return new Uint8Array(await sharp({ create }).blur(1.5).toFormat(format).toBuffer());
}
