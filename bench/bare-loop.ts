import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';

/**
 * The same work without a service: sharp resizes, sharp and ONNX Runtime classify, several pictures at a time in one
 * process. It stores nothing. Prints one line of JSON.
 *
 * Arguments: picture, model or '', factor, count, jobs at once.
 */
const [picturePath = '', modelPath = '', factorText = '0.5', countText = '10', jobsText = '4'] = process.argv.slice(2);
const MEAN = [0.485, 0.456, 0.406] as const;
const DEVIATION = [0.229, 0.224, 0.225] as const;
const SIDE = 224;

sharp.cache(false);
sharp.concurrency(1);
const picture = readFileSync(picturePath);
const session =
  modelPath === '' ? null : await InferenceSession.create(modelPath, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const { width = 1, height = 1 } = await sharp(picture).metadata();
const factor = Number(factorText);

async function resize(): Promise<number> {
  const target = { width: Math.round(width * factor), height: Math.round(height * factor) };
  return (await sharp(picture).rotate().resize(target.width, target.height).jpeg().toBuffer()).length;
}

async function classify(model: InferenceSession): Promise<number> {
  const pixels = await sharp(picture)
    .rotate()
    .resize(256, 256)
    .extract({ left: 16, top: 16, width: SIDE, height: SIDE })
    .removeAlpha()
    .raw()
    .toBuffer();
  const input = new Float32Array(3 * SIDE * SIDE);
  for (let pixel = 0; pixel < SIDE * SIDE; pixel += 1) {
    for (const channel of [0, 1, 2] as const) {
      const value = (pixels[pixel * 3 + channel] ?? 0) / 255;
      input[channel * SIDE * SIDE + pixel] = (value - MEAN[channel]) / DEVIATION[channel];
    }
  }
  const { output } = await model.run({ input: new Tensor('float32', input, [1, 3, SIDE, SIDE]) });
  return output?.size ?? 0;
}

async function work(share: number): Promise<void> {
  for (let done = 0; done < share; done += 1) {
    await resize();
    if (session !== null) await classify(session);
  }
}

const jobs = Number(jobsText);
const share = Math.ceil(Number(countText) / jobs);
await work(1);
const cpuBefore = process.cpuUsage();
const startedAt = performance.now();
await Promise.all(Array.from({ length: jobs }, () => work(share)));
const seconds = (performance.now() - startedAt) / 1000;
const cpu = process.cpuUsage(cpuBefore);
const done = share * jobs;
process.stdout.write(
  `${JSON.stringify({ tasksPerSecond: done / seconds, cpuMs: (cpu.user + cpu.system) / 1000 / done, peakMib: process.resourceUsage().maxRSS / 1024 })}\n`,
);
