import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { z } from 'zod';
import { readClassification } from '../../shared/operations/classify.ts';
import type { Task } from '../../shared/task.ts';
import { decode, meanDifference } from '../support/pictures.ts';
import { Service } from '../support/service.ts';
import { requireShared } from '../support/shared.ts';

const photosSchema = z.array(z.object({ file: z.string(), expected: z.array(z.string()) }));

describe('real photographs and the real classifier', function () {
  this.timeout(180_000);
  let folder: string;
  let service: Service;

  before(async function () {
    const shared = requireShared(this);
    folder = join(shared, 'photos');
    service = await Service.start({ flags: ['--model', join(shared, 'models', 'mobilenetv2-12-qdq.onnx')] });
  });

  after(() => service?.stop());

  async function half(file: string): Promise<Task> {
    return service.run(await readFile(join(folder, file)), { scale_factor: '0.5' });
  }

  it('are all resized, and get the right labels', async () => {
    const photos = photosSchema.parse(JSON.parse(await readFile(join(folder, 'photos.json'), 'utf8')));
    expect(photos).to.have.length.above(10);
    const wrong: string[] = [];
    for (const { file, expected } of photos) {
      const task = await half(file);
      const classified = task.outputs.find(({ name }) => name === 'classify');
      const best = readClassification(classified ?? {})?.labels[0];
      const { width, height } = await sharp(await service.picture(task.task_id)).metadata();
      const right = [Math.round(Number(task.input.width) / 2), Math.round(Number(task.input.height) / 2)];
      if (width !== right[0] || height !== right[1]) wrong.push(`${file}: ${width}×${height}`);
      if (expected.length > 0 && !expected.includes(best?.label ?? '')) wrong.push(`${file}: ${best?.label}`);
    }
    expect(wrong).to.deep.equal([]);
  });

  it('have the same upright result with turned pixels and with an EXIF orientation', async () => {
    const turned = await half('coffee-mug.jpg');
    const told = await half('coffee-mug-exif6.jpg');
    const pictures = await Promise.all([turned, told].map(({ task_id: id }) => service.picture(id)));
    const [one, other] = await Promise.all(pictures.map((picture) => decode(picture)));
    if (one === undefined || other === undefined) throw new Error('Expected two pictures');
    expect([one.width, one.height]).to.deep.equal([other.width, other.height]);
    expect(meanDifference(one, other)).to.be.below(3);
  });

  it('stay animated', async () => {
    const task = await half('cat-trotting-animated.gif');
    const original = await sharp(await readFile(join(folder, 'cat-trotting-animated.gif'))).metadata();
    expect((await sharp(await service.picture(task.task_id)).metadata()).pages).to.equal(original.pages);
  });
});
