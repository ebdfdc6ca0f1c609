import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp, { type Sharp } from 'sharp';

const shared = process.env['DARKROOM_SHARED'] ?? fileURLToPath(new URL('../../../shared', import.meta.url));
const SAMPLE = fileURLToPath(new URL('../../examples/sample.jpg', import.meta.url));

/** The classifier's path, or null when it is missing. */
export function findModel(): string | null {
  const model = join(shared, 'models', 'mobilenetv2-12-qdq.onnx');
  return existsSync(model) ? model : null;
}

/** The longest side of the photographs that are only classified, in pixels. */
const CLASSIFIED_SIDE = 500;
/** The formats in which the sample is written where there are no photographs. */
const WRITTEN = ['jpeg', 'png', 'webp', 'avif', 'gif', 'tiff'] as const;

/** The pictures that the benchmark works on: photographs where they are, else pictures that it makes in its folder. */
export class Pictures {
  readonly #folder: string;
  readonly #made = new Map<string, Promise<string>>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A phone photograph of 8.5 megapixels and 1 MB, or noise of its size when the photograph is missing. */
  photo(): Promise<string> {
    const photo = join(shared, 'photos', 'coffee-mug.jpg');
    if (existsSync(photo)) return Promise.resolve(photo);
    return this.#make('noise.jpg', async (path) => {
      const noise = { type: 'gaussian', mean: 128, sigma: 30 } as const;
      const create = { width: 3361, height: 2521, channels: 3, background: 'grey', noise } as const;
      await sharp({ create }).blur(3).toFile(path);
    });
  }

  /** The photograph so wide, as a JPEG of at most so many bytes, and nearly as many. */
  async jpegOf(width: number, bytes: number): Promise<string> {
    const photo = await this.photo();
    return this.#make(`${width}-${bytes}.jpg`, async (path) => {
      const scaled = await sharp(photo).autoOrient().resize({ width }).png().toBuffer();
      await writeFile(path, await fill(sharp(scaled), bytes));
    });
  }

  /** All photographs; without them the sample, and the sample in each format. */
  async photos(): Promise<string[]> {
    const folder = join(shared, 'photos');
    if (existsSync(folder)) {
      const names = (await readdir(folder)).filter((name) => !/\.(json|md)$/.test(name));
      return names.sort().map((name) => join(folder, name));
    }
    const write = (format: (typeof WRITTEN)[number]) =>
      this.#make(`sample.${format}`, async (path) => {
        await sharp(SAMPLE).toFormat(format).toFile(path);
      });
    return [SAMPLE, ...(await Promise.all(WRITTEN.map(write)))];
  }

  /** The photographs as JPEG with a longest side of 500 pixels. */
  async smallPhotos(): Promise<string[]> {
    const photos = await this.photos();
    return Promise.all(
      photos.map((photo, index) =>
        this.#make(`small-${index}.jpg`, async (path) => {
          const box = { width: CLASSIFIED_SIDE, height: CLASSIFIED_SIDE, fit: 'inside' } as const;
          await sharp(photo).autoOrient().resize(box).flatten().toColourspace('srgb').jpeg().toFile(path);
        }),
      ),
    );
  }

  /** The path of a picture that is made once. */
  #make(name: string, write: (path: string) => Promise<void>): Promise<string> {
    const path = join(this.#folder, name);
    const made = this.#made.get(name) ?? write(path).then(() => path);
    this.#made.set(name, made);
    return made;
  }
}

/** The JPEG of the highest quality that is not larger. */
async function fill(picture: Sharp, bytes: number): Promise<Buffer> {
  let best = await picture.clone().jpeg({ quality: 1 }).toBuffer();
  let [fitting, above] = [1, 101];
  while (above - fitting > 1) {
    const quality = Math.floor((fitting + above) / 2);
    const body = await picture.clone().jpeg({ quality }).toBuffer();
    if (body.length <= bytes) [fitting, best] = [quality, body];
    else above = quality;
  }
  return best;
}
