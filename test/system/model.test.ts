import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { describeModel } from '../../server-b/model/find.ts';
import { installModel } from '../../server-b/model/install.ts';
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

  async function expectGreen(): Promise<void> {
    const { outputs } = await classified();
    expect(outputs[1]).to.include({ status: 'completed', model: 'tiny' });
    expect(readClassification(outputs[1] ?? {})?.labels[0]?.label).to.equal('green');
  }

  async function announced(name: string): Promise<void> {
    await eventually(`the model ${name} on /readyz`, async () => {
      return (await service.ready())['model'] === name ? true : undefined;
    });
  }

  // One service, from which the model is missing at first.
  describe('that comes and goes', () => {
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

    it('uses one that is installed while it runs', async () => {
      const installed = await model('install', tiny);
      expect(installed).to.include({ code: 0, stderr: '' });
      await announced('tiny');
      await expectGreen();
      const shown = await model();
      expect(shown.code).to.equal(0);
      expect(shown.stdout).to.contain(join(service.dataDir, 'model', 'tiny.onnx'));
      expect(shown.stdout).to.match(/\nModel {2}tiny \(custom\), whole\n$/);
    });

    it('goes on without labels when the file is damaged, and labels again with a good one', async () => {
      const whole = await readFile(tiny);
      await writeFile(join(service.dataDir, 'model', 'damaged.onnx'), whole.subarray(0, whole.length / 2));
      const { problem } = await describeModel({ model: undefined, dataDir: service.dataDir });
      expect(problem).to.match(/damaged\.onnx cannot be used/);
      await announced('unavailable');
      const task = await classified();
      expect(hasEnded(task.status)).to.equal(true);
      expect(task.outputs[1]?.error?.code).to.equal('MODEL_UNAVAILABLE');
      await installModel(tiny, service.dataDir);
      await announced('tiny');
      await expectGreen();
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
