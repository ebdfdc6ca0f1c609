import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { z } from 'zod';
import { FORMATS } from '../shared/operations/format.ts';
import type { OutputSpec } from '../shared/operations/index.ts';
import { type Kind, makePicture, makeSources } from './memory-pictures.ts';

// Compares the memory that shared/cost.ts predicts for a job with its measured peak, each job in a separate process.
// The ratio should be between 0.9 and 3, and low for pictures that are hard to compress. Linux only.
//
// Arguments: megapixels of the pictures, 24 unless given (24 60 100 takes a quarter of an hour).

const run = promisify(execFile);
const JOB = fileURLToPath(new URL('./memory-job.js', import.meta.url));
const replySchema = z.object({ predicted: z.number(), measured: z.number() });

const SCALES = [0.1, 0.5, 1].map((factor): OutputSpec[] => [
  { name: 'resize', operation: 'resize', scale_factor: factor },
]);
const ENDS = SCALES.filter((_, index) => index !== 1);
const FORMATS_OUT = FORMATS.map((format): OutputSpec[] => [
  { name: 'resize', operation: 'resize', scale_factor: 0.7, format },
]);
const CIRCLES = (['png', 'webp', 'avif'] as const).map((format): OutputSpec[] => [
  { name: 'circle', operation: 'circle', size: 2000, format },
]);
const SHARED: OutputSpec[][] = [
  [
    { name: 'resize', operation: 'resize', scale_factor: 0.5 },
    { name: 'circle', operation: 'circle', size: 1000 },
  ],
];

const CASES: readonly (readonly [Kind, OutputSpec[][]])[] = [
  ['jpeg', [...SCALES, ...FORMATS_OUT, ...CIRCLES, ...SHARED]],
  ['jpeg progressive', SCALES],
  ['jpeg progressive 4:4:4', SCALES],
  ['jpeg turned by EXIF', SCALES],
  ['png', ENDS],
  ['png interlaced', ENDS],
  ['png 16 bits', ENDS],
  ['png 16 bits interlaced', ENDS],
  ['png with alpha', FORMATS_OUT],
  ['webp', ENDS],
  ['webp lossless', ENDS],
  ['webp animated', ENDS],
  ['gif', ENDS],
  ['gif animated', ENDS],
  ['avif', ENDS],
  ['avif 10 bits', ENDS],
  ['tiff', ENDS],
];

const megapixels = process.argv.slice(2).map(Number);
const { sharp: version, vips } = sharp.versions;
const memory = Math.round(totalmem() / 1024 ** 3);
console.log(
  `${cpus().length} × ${cpus()[0]?.model}, ${memory} GiB, Node ${process.version}, sharp ${version}, libvips ${vips}`,
);
console.log('megapixels | picture | job | predicted MiB | measured MiB | ratio');
const folder = await mkdtemp(join(tmpdir(), 'darkroom-memory-'));
try {
  for (const size of megapixels.length === 0 ? [24] : megapixels) await measureAll(size);
} finally {
  await rm(folder, { recursive: true });
}

async function measureAll(size: number): Promise<void> {
  const sources = await makeSources(folder, size);
  const path = join(folder, 'picture');
  for (const [kind, jobs] of CASES) {
    await makePicture(kind, sources, path);
    for (const specs of jobs) {
      const { stdout } = await run(process.execPath, [JOB, path, JSON.stringify(specs)]);
      const { predicted, measured } = replySchema.parse(JSON.parse(stdout));
      const columns = [size, kind, describe(specs), Math.round(predicted), Math.round(measured)];
      console.log([...columns, (predicted / measured).toFixed(2)].join(' | '));
    }
  }
}

function describe(specs: readonly OutputSpec[]): string {
  return specs.map(({ name: _name, ...parameters }) => Object.values(parameters).join(' ')).join(', ');
}
