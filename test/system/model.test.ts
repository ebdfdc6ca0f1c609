import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readClassification } from '../../shared/operations/classify.ts';
import { hasEnded, type Task } from '../../shared/task.ts';
import { type Ended, runDarkroom } from '../support/command-line.ts';
import { plain } from '../support/pictures.ts';
import { eventually } from '../support/processes.ts';
import { Service, temporaryFolder } from '../support/service.ts';
import { writeTinyModel } from '../support/tiny-model.ts';

describe('a service and its classifier', function () {
  this.timeout(180_000);
  let folder: string;
  let tiny: string;
  let service: Service;
  let green: Buffer;

  before(async () => {
    folder = await temporaryFolder();
    tiny = await writeTinyModel(folder);
    green = await plain(40, 30, '#00ff00');
  });

  after(() => rm(folder, { recursive: true, force: true }));

  function model(...words: string[]): Promise<Ended> {
    return runDarkroom(['model', ...words], { environment: { DARKROOM_DATA_DIR: service.dataDir } });
  }

  async function classified(): Promise<Task> {
    return service.run(green, { scale_factor: '0.5', classify: 'true', top_k: '1' });
  }

  describe('that is not there', () => {
    before(async () => {
      service = await Service.start();
    });

    after(() => service.stop());

    it('resizes without one, and says how to get labels', async () => {
      const task = await classified();
      expect([task.status, task.error]).to.deep.equal(['completed', null]);
      const [resize, classify] = task.outputs;
      expect(resize).to.include({ status: 'completed', width: 20, height: 15 });
      expect(classify).to.include({ name: 'classify', status: 'failed' });
      expect(classify?.error?.code).to.equal('MODEL_UNAVAILABLE');
      expect(classify?.error?.message).to.match(/darkroom model install/);
      expect(await service.ready()).to.include({ status: 'ready', model: 'unavailable' });
    });

    it('fails a task that asks only for labels, with the same message', async () => {
      const task = await service.run(green, { classify: 'true' });
      expect([task.status, task.result, task.error?.code]).to.deep.equal(['failed', null, 'MODEL_UNAVAILABLE']);
      expect((await service.get(`/result/${task.task_id}`)).status).to.equal(503);
    });
  });

  describe('that comes later', () => {
    beforeEach(async () => {
      service = await Service.start();
    });

    afterEach(() => service.stop());

    it('uses one that is installed while it runs', async () => {
      expect(await model()).to.include({ code: 1 });
      const installed = await model('install', tiny);
      expect(installed).to.include({ code: 0, stderr: '' });
      await eventually('the installed model on /readyz', async () => {
        return (await service.ready())['model'] === 'tiny' ? true : undefined;
      });
      const { outputs } = await classified();
      expect(outputs[1]).to.include({ status: 'completed', model: 'tiny' });
      expect(readClassification(outputs[1] ?? {})?.labels[0]?.label).to.equal('green');
      const shown = await model();
      expect(shown.code).to.equal(0);
      expect(shown.stdout).to.contain(join(service.dataDir, 'model', 'tiny.onnx'));
      expect(shown.stdout).to.match(/\nModel {2}tiny \(custom\), whole\n$/);
    });

    it('goes on without labels when the file is damaged, and labels again with a good one', async () => {
      await mkdir(join(service.dataDir, 'model'), { recursive: true });
      const whole = await readFile(tiny);
      await writeTinyModel(join(service.dataDir, 'model'), 'damaged.onnx');
      await writeFile(join(service.dataDir, 'model', 'damaged.onnx'), whole.subarray(0, whole.length / 2));
      expect((await model()).stdout).to.match(/\nModel {2}unavailable: .*damaged\.onnx cannot be used/);
      const task = await classified();
      expect(hasEnded(task.status)).to.equal(true);
      expect(task.outputs[1]?.error?.code).to.equal('MODEL_UNAVAILABLE');
      expect((await model('install', tiny)).code).to.equal(0);
      await eventually('the whole model on /readyz', async () => {
        return (await service.ready())['model'] === 'tiny' ? true : undefined;
      });
      expect(readClassification((await classified()).outputs[1] ?? {})?.labels[0]?.label).to.equal('green');
    });
  });

  it('starts with a damaged --model, and reports it', async () => {
    const damaged = join(folder, 'damaged.onnx');
    await writeFile(damaged, 'no model');
    service = await Service.start({ flags: ['--model', damaged] });
    try {
      expect(await service.ready()).to.include({ status: 'ready', model: 'unavailable' });
      expect((await service.run(green, { scale_factor: '0.5' })).status).to.equal('completed');
    } finally {
      await service.stop();
    }
  });
});
