import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { readClassification } from '../../shared/operations/classify.ts';
import { hasEnded, type Task, taskSchema } from '../../shared/task.ts';
import { requireCurl, runLine } from '../support/curl.ts';
import { decode, pixelAt, plain, quarters } from '../support/pictures.ts';
import { eventually } from '../support/processes.ts';
import { Service, temporaryFolder } from '../support/service.ts';
import { writeTinyModel } from '../support/tiny-model.ts';

const IPS = ['127.0.0.1', '::1'];

describe('upload and poll, as existing clients do', function () {
  this.timeout(180_000);
  let folder: string;
  let both: Service;

  before(async () => {
    folder = await temporaryFolder();
    await writeTinyModel(folder);
    // Stored on its side, as cameras do; upright it is 80 × 120.
    await writeFile(
      join(folder, 'cat.jpg'),
      await quarters(120, 80).jpeg().withMetadata({ orientation: 6 }).toBuffer(),
    );
    both = await Service.start({ ip: IPS.join(), flags: ['--model', join(folder, 'tiny.onnx')] });
  });

  after(async () => {
    await both?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  for (const ip of IPS) {
    describe(`on ${ip}`, () => {
      let service: Service;

      before(() => {
        service = both.at(ip);
      });

      async function poll(id: string): Promise<Task> {
        return eventually('the end of the task', async () => {
          const task = taskSchema.parse(await runLine(`curl -s ${service.address}/status/${id}`, folder));
          return hasEnded(task.status) ? task : undefined;
        });
      }

      const lines = {
        'the picture first': (address: string) =>
          `curl -s -X POST ${address}/upload -F "image=@cat.jpg" -F "scale_factor=0.5"`,
        'the field first': (address: string) =>
          `curl -s -X POST ${address}/upload -F "scale_factor=0.5" -F "image=@cat.jpg"`,
      };
      for (const [order, line] of Object.entries(lines)) {
        it(`curl with ${order} gets a task that completes with the upright picture and its labels`, async function () {
          await requireCurl(this);
          const accepted = taskSchema.parse(await runLine(line(service.address), folder));
          expect(accepted.status).to.equal('pending');
          expect(accepted.result).to.equal(null);
          const task = await poll(accepted.task_id);
          expect(task.status).to.equal('completed');
          expect(task.outputs.map(({ name, status }) => [name, status])).to.deep.equal([
            ['resize', 'completed'],
            ['classify', 'completed'],
          ]);
          const answer = await service.get(task.result ?? '');
          expect(answer.headers['content-type']).to.equal('image/jpeg');
          const raster = await decode(answer.body);
          expect([raster.width, raster.height]).to.deep.equal([40, 60]);
          // Turned a quarter clockwise: the lower left quarter, blue, is now the upper left one.
          const [red = 0, green = 0, blue = 0] = pixelAt(raster, 8, 8);
          expect([red < 40, green < 40, blue > 200]).to.deep.equal([true, true, true]);
        });
      }

      it('converts the picture to the requested format', async () => {
        const task = await service.run(await plain(20, 10, 'red'), { scale_factor: '2', format: 'webp' });
        const { format, width, height } = await sharp(await service.picture(task.task_id)).metadata();
        expect({ format, width, height }).to.deep.equal({ format: 'webp', width: 40, height: 20 });
      });

      it('returns the labels, most probable first', async () => {
        const task = await service.run(await plain(64, 64, '#00ff00'), { classify: 'true', top_k: '3' });
        const [best, ...others] = readClassification(task.outputs[0] ?? {})?.labels ?? [];
        expect(best).to.include({ index: 1, label: 'green', wnid: 'n00000001' });
        expect(others).to.have.length(2);
      });

      it('answers 404 for an id that was never issued', async () => {
        expect((await service.get('/status/V1StGXR8_Z5jdHi6B-myT')).status).to.equal(404);
      });

      it('reports that it is ready, and the name of its classifier', async () => {
        expect(await service.ready()).to.include({
          status: 'ready',
          store: 'open',
          backend: 'up',
          model: 'tiny',
        });
      });
    });
  }
});
