import { cpus } from 'node:os';
import sharp from 'sharp';
import { Deadline } from '../server-b/operations/deadline.ts';
import { Picture } from '../server-b/operations/picture.ts';
import { resize } from '../server-b/operations/resize.ts';
import { animationSeconds } from '../shared/animation-time.ts';
import { planOf } from '../shared/operations/index.ts';
import type { ResizeSpec } from '../shared/operations/resize.ts';

// CPU that animations of noise take, beside the estimate that `--max-animation-seconds` bounds: the numbers behind
// shared/animation-time.ts. Run it by `npm run build && node dist/bench/animation.js`.

const LIMITS = {
  maxPixels: 100_000_000,
  maxSide: 16_384,
  maxDecodedMb: 400,
  maxFrames: 1000,
  maxAnimationSeconds: 1000,
};
const SIZES = [
  { side: 16, frames: 400 },
  { side: 64, frames: 100 },
  { side: 200, frames: 40 },
  { side: 500, frames: 10 },
] as const;
const OUTPUTS = [
  { format: 'gif', scale_factor: 1 },
  { format: 'gif', scale_factor: 0.9 },
  { format: 'gif', scale_factor: 0.9, blur: 1 },
  { format: 'webp', scale_factor: 0.9 },
  { format: 'webp', scale_factor: 0.9, lossless: true },
] as const;

sharp.cache(false);
sharp.concurrency(1);
console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`);
for (const { side, frames } of SIZES) {
  const body = await noise(side, frames);
  for (const output of OUTPUTS) {
    const spec: ResizeSpec = { name: 'animation', operation: 'resize', ...output };
    const header = {
      format: 'gif',
      width: side,
      height: side,
      frames,
      channels: 3,
      depth: 8,
      alpha: false,
      progressive: false,
      orientation: 1,
    } as const;
    const picture = await Picture.open(new Uint8Array(body), header, LIMITS, new Deadline(600_000));
    const before = process.cpuUsage();
    await resize(picture, spec);
    const { user, system } = process.cpuUsage(before);
    const seconds = (user + system) / 1e6;
    const { drawing } = planOf(header, spec);
    const estimate = drawing === null ? Number.NaN : animationSeconds(header, drawing);
    const what = `${frames} frames of ${side}×${side}, ${JSON.stringify(output)}`;
    console.log(`${what}: ${seconds.toFixed(2)} s, ${(seconds / estimate).toFixed(2)} of the estimate`);
  }
}

/** A GIF of noise without a transparent colour; each frame has a palette. */
async function noise(side: number, frames: number): Promise<Buffer> {
  const create = { width: side, height: side, channels: 3, background: '#808080' } as const;
  const pages = Array.from({ length: frames }, (_, index) =>
    sharp({ create: { ...create, noise: { type: 'gaussian', mean: 128, sigma: 20 + (index % 7) * 8 } } })
      .png()
      .toBuffer(),
  );
  return sharp(await Promise.all(pages), { join: { animated: true } })
    .gif({ effort: 1 })
    .toBuffer();
}
