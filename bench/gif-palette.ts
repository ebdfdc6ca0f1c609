import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import sharp, { type Sharp } from 'sharp';

// Compares the ways in which libvips finds the colours of an animated GIF, at its own size and halved: CPU for each frame,
// bytes, and decibels against the pixels before colours were reduced. The numbers behind `paletteSearch` in
// server-b/operations/encode.ts. Run it by `npm run build && node dist/bench/gif-palette.js ANIMATION.gif`.

const ROUNDS = 3;

sharp.cache(false);
sharp.concurrency(1);
const path = process.argv[2];
if (path === undefined) throw new Error('Expected the path of an animated GIF, received none');
const body = readFileSync(path);
const { width, pages = 1 } = await sharp(body, { animated: true }).metadata();
console.log(`${cpus()[0]?.model}, Node ${process.version}, ${pages} frames of ${width} pixels across`);
for (const scale of [1, 0.5]) {
  const open = () => sharp(body, { animated: true }).resize(Math.round(width * scale));
  for (const reuse of scale === 1 ? [true, false] : [false]) {
    for (const effort of [1, 2, 3, 4, 5, 6, 7]) await measure(open, scale, reuse, effort);
  }
}

async function measure(open: () => Sharp, scale: number, reuse: boolean, effort: number): Promise<void> {
  let best = Number.POSITIVE_INFINITY;
  let gif = Buffer.alloc(0);
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    gif = await open().gif({ reuse, effort }).toBuffer();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000 / pages);
  }
  const before = await open().ensureAlpha().raw().toBuffer();
  const after = await sharp(gif, { animated: true }).ensureAlpha().raw().toBuffer();
  const palette = reuse ? "the input's palette" : 'new palettes';
  console.log(
    `scale ${scale}, ${palette}, effort ${effort}: ${best.toFixed(1)} ms a frame, ${gif.length} bytes, ${decibels(before, after)} dB`,
  );
}

function decibels(one: Buffer, other: Buffer): string {
  let sum = 0;
  for (const [index, value] of one.entries()) sum += (value - (other[index] ?? 0)) ** 2;
  return (10 * Math.log10((255 * 255 * one.length) / sum)).toFixed(1);
}
