import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

const shared = process.env['DARKROOM_SHARED'] ?? fileURLToPath(new URL('../../../shared', import.meta.url));

/** A picture to measure with. */
export interface BenchPicture {
  readonly path: string;
  /** Removes it where it was made for the benchmark. */
  remove(): Promise<void>;
}

/** A phone photograph of 8 megapixels and 1 MB, or noise of its size when the photograph is missing. */
export async function findPicture(): Promise<BenchPicture> {
  const photo = join(shared, 'photos', 'coffee-mug.jpg');
  if (existsSync(photo)) return { path: photo, remove: async () => undefined };
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-bench-'));
  const made = join(folder, 'noise.jpg');
  const noise = { type: 'gaussian', mean: 128, sigma: 30 } as const;
  await sharp({ create: { width: 3361, height: 2521, channels: 3, background: 'grey', noise } })
    .blur(3)
    .toFile(made);
  return { path: made, remove: () => rm(folder, { recursive: true }) };
}

/** The classifier's path, or null when it is missing. */
export function findModel(): string | null {
  const model = join(shared, 'models', 'mobilenetv2-12-qdq.onnx');
  return existsSync(model) ? model : null;
}
