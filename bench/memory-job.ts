import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import sharp from 'sharp';
import { probe } from '../server-a/probe/probe.ts';
import { openRandomAccess } from '../server-a/probe/random-access.ts';
import { SHARED_BYTES } from '../server-b/job.ts';
import { OPERATIONS } from '../server-b/operations/index.ts';
import { setUpLibvips } from '../server-b/operations/libvips.ts';
import { performJob } from '../server-b/operations/perform.ts';
import { jobCost } from '../shared/cost.ts';
import { FORMATS } from '../shared/operations/format.ts';
import { outputSpecsSchema } from '../shared/operations/outputs.ts';

/**
 * Runs one job like a worker, in a separate process, so that the peak belongs to the job. Prints one line of JSON: the
 * memory that shared/cost.ts predicts, and the highest growth of resident memory, in MiB.
 *
 * Arguments: picture, outputs as JSON.
 */
const [path = '', outputsText = '[]'] = process.argv.slice(2);
const MEBIBYTE = 1024 * 1024;
const LIMITS = { maxPixels: 100_000_000, maxSide: 16_384, maxDecodedMb: 400, maxFrames: 1000, maxAnimationSeconds: 10 };

setUpLibvips(new SharedArrayBuffer(SHARED_BYTES));
const outputs = outputSpecsSchema.parse(JSON.parse(outputsText));
const file = await open(path);
const image = await probe(await openRandomAccess(file));
await file.close();
await loadCodecs();

const before = memoryOf('VmRSS');
// Makes the present size the highest so far (proc_pid_clear_refs(5)).
writeFileSync('/proc/self/clear_refs', '5');
const body = new Uint8Array(readFileSync(path));
const predicted = jobCost(body.length, image, outputs) / MEBIBYTE;
const job = { outputs, image, body, deadlineMs: 600_000, model: null };
const { outcome } = await performJob(job, LIMITS, OPERATIONS);
if (outcome.kind === 'failed') throw new Error(outcome.error.message);
process.stdout.write(`${JSON.stringify({ predicted, measured: memoryOf('VmHWM') - before })}\n`);

/** Loads all codec libraries, because one that loads during the job would count as the job's memory. */
async function loadCodecs(): Promise<void> {
  const small = sharp({ create: { width: 64, height: 64, channels: 3, background: 'teal' } });
  for (const format of FORMATS)
    await sharp(await small.clone().toFormat(format).toBuffer())
      .raw()
      .toBuffer();
}

/** A line of /proc/self/status in MiB (proc_pid_status(5)). */
function memoryOf(name: 'VmRSS' | 'VmHWM'): number {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kibibytes) / 1024;
}
