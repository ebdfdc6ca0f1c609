import { unlink } from 'node:fs/promises';
import { Worker } from 'bullmq';
import sharp from 'sharp';

// Resizes the pictures of the queue. Arguments: port of Redis, jobs at once.
const [redisPort, concurrency] = process.argv.slice(2);

async function resize(path, { name, scale_factor: factor = 1, width }) {
  const { autoOrient } = await sharp(path).metadata();
  const target = `${path}-${name}.jpg`;
  await sharp(path)
    .rotate()
    .resize({ width: width ?? Math.round(autoOrient.width * factor) })
    .jpeg()
    .toFile(target);
  return target;
}

const worker = new Worker(
  'pictures',
  async ({ data: { path, outputs } }) => {
    const files = [];
    for (const output of outputs) files.push(await resize(path, output));
    await unlink(path);
    return files;
  },
  { connection: { host: '127.0.0.1', port: Number(redisPort) }, concurrency: Number(concurrency) },
);
await worker.waitUntilReady();
process.send('listening');
process.on('disconnect', () => process.exit());
