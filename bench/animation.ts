import { cpus } from 'node:os';
import sharp from 'sharp';
import { Deadline } from '../server-b/operations/deadline.ts';
import { Picture } from '../server-b/operations/picture.ts';
import { resize } from '../server-b/operations/resize.ts';
import { animationSeconds } from '../shared/animation-time.ts';
import type { ImageHeader } from '../shared/image-header.ts';
import { planOf } from '../shared/operations/index.ts';
import type { ResizeParameters } from '../shared/operations/resize.ts';

// CPU that animations of noise take, beside the bound that `--max-animation-seconds` goes by: the numbers behind
// shared/animation-time.ts. The highest ratio must not be above 1. Run it by
// `npm run build && node dist/bench/animation.js [gif|webp] [SIDE]`.

const LIMITS = {
  maxPixels: 100_000_000,
  maxSide: 16_384,
  maxDecodedMb: 400,
  maxFrames: 1000,
  maxAnimationSeconds: 1000,
};
/** Other work on the machine makes a run take longer; the best of some counts. */
const RUNS = 3;
const SIZES = [
  { side: 4, frames: 200 },
  { side: 16, frames: 150 },
  { side: 64, frames: 60 },
  { side: 200, frames: 20 },
  { side: 500, frames: 5 },
] as const;
const CHANGES: readonly ResizeParameters[] = [
  { scale_factor: 1 },
  { scale_factor: 1, grayscale: true },
  { scale_factor: 0.9 },
  { scale_factor: 0.1 },
  { scale_factor: 1.5 },
  { scale_factor: 1, blur: 2, sharpen: 3 },
  { scale_factor: 0.9, blur: 100 },
  { scale_factor: 0.9, rotate: 90, flip: true },
  { width: 50, height: 30, fit: 'cover', gravity: 'entropy', rotate: 90, sharpen: true },
  { width: 60, height: 40, fit: 'contain', background: '#ff8000' },
];
const ENCODERS: readonly ResizeParameters[] = [
  { format: 'gif' },
  { format: 'webp' },
  { format: 'webp', lossless: true },
];

sharp.cache(false);
sharp.concurrency(1);
console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`);
const [wantedFormat, wantedSide] = process.argv.slice(2);
let highest = 0;
for (const { side, frames } of SIZES) {
  if (wantedSide !== undefined && wantedSide !== `${side}`) continue;
  for (const alpha of [false, true]) {
    for (const input of ['gif', 'webp'] as const) {
      if (wantedFormat !== undefined && wantedFormat !== input) continue;
      const body = await noise(input, side, frames, alpha);
      const changes = CHANGES.flatMap((change) => ENCODERS.map((encoder) => ({ ...change, ...encoder })));
      for (const parameters of changes) await measure(body, await headerOf(body, input), parameters);
    }
  }
}
console.log(`highest: ${highest.toFixed(2)} of the bound`);

async function measure(body: Buffer, header: ImageHeader, parameters: ResizeParameters): Promise<void> {
  const spec = { name: 'animation', operation: 'resize', ...parameters } as const;
  let seconds = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run += 1) {
    const picture = await Picture.open(new Uint8Array(body), header, LIMITS, new Deadline(600_000));
    const before = process.cpuUsage();
    await resize(picture, spec);
    const { user, system } = process.cpuUsage(before);
    seconds = Math.min(seconds, (user + system) / 1e6);
  }
  const { drawing, workMs } = planOf(header, spec);
  if (drawing === null) return;
  const ratio = seconds / animationSeconds(header, drawing, workMs);
  highest = Math.max(highest, ratio);
  const { format, width, height, frames, alpha } = header;
  const what = `${frames} ${alpha ? 'transparent ' : ''}frames of ${width}×${height} in ${format}`;
  const frameMs = (1000 * seconds) / frames;
  console.log(
    `${ratio.toFixed(2)} of the bound, ${frameMs.toFixed(2)} ms a frame: ${what}, ${JSON.stringify(parameters)}`,
  );
}

async function headerOf(body: Buffer, format: 'gif' | 'webp'): Promise<ImageHeader> {
  const { width, height, pages = 1, hasAlpha } = await sharp(body).metadata();
  const sizes = { width, height, frames: pages, channels: hasAlpha ? 4 : 3, depth: 8 } as const;
  return { format, ...sizes, alpha: hasAlpha, progressive: false, orientation: 1 };
}

/** An animation of noise, of another width in each frame, so that no palette fits the next frame. */
async function noise(format: 'gif' | 'webp', side: number, frames: number, alpha: boolean): Promise<Buffer> {
  const pages = await Promise.all(
    Array.from({ length: frames }, (_, index) => {
      const pixels = new Uint8Array(4 * side * side);
      const width = 80 + (index % 7) * 25;
      for (let at = 0; at < pixels.length; at += 1) pixels[at] = 128 + width * (Math.random() - 0.5);
      for (let at = 3; at < pixels.length; at += 4) pixels[at] = alpha ? 256 * Math.random() : 255;
      return sharp(pixels, { raw: { width: side, height: side, channels: 4 } })
        .png()
        .toBuffer();
    }),
  );
  const joined = sharp(pages, { join: { animated: true } });
  const encoded = format === 'gif' ? joined.gif({ effort: 1 }) : joined.webp({ effort: 0 });
  return encoded.toBuffer();
}
