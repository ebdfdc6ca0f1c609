import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runCommand } from '../support/command-in-process.ts';
import { type Ended, runDarkroom } from '../support/command-line.ts';
import { requireShared } from '../support/shared.ts';

const NAMES = ['mobilenetv2-12-qdq.onnx', 'synset.txt'];

describe('darkroom model', function () {
  this.timeout(180_000);

  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-model-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  function run(...words: string[]): Promise<Ended> {
    return runCommand(['model', ...words], { folder, environment: { DARKROOM_DATA_DIR: 'data' } });
  }

  it('prints where it looked when there is no model, with the exit code 1', async () => {
    const { code, stdout } = await runDarkroom(['model'], { folder, environment: { DARKROOM_DATA_DIR: 'data' } });
    expect(code).to.equal(1);
    expect(stdout).to.match(/^Place {2}.*data\/model\nModel {2}unavailable: .*\n$/);
  });

  it('install copies a usable model to the data folder', async function () {
    const models = join(requireShared(this), 'models');
    const installed = await run('install', join(models, 'mobilenetv2-12-qdq.onnx'));
    expect(installed).to.include({ code: 0, stderr: '' });
    expect(await readdir(join(folder, 'data/model'))).to.have.members(NAMES);
    const shown = await run();
    expect(shown.code).to.equal(0);
    expect(shown.stdout).to.match(/\nModel {2}mobilenetv2-12-qdq \(official\), whole\n$/);
  });

  it('install accepts --data-dir before and after "install"', async function () {
    const file = join(requireShared(this), 'models', 'mobilenetv2-12-qdq.onnx');
    expect((await run('--data-dir', 'before', 'install', file)).code).to.equal(0);
    expect((await run('install', '--data-dir', 'after', file)).code).to.equal(0);
    expect(await readdir(folder)).to.have.members(['before', 'after']);
  });

  it('reports a damaged model', async function () {
    const models = join(requireShared(this), 'models');
    await mkdir(join(folder, 'data/model'), { recursive: true });
    for (const name of NAMES) await copyFile(join(models, name), join(folder, 'data/model', name));
    await writeFile(join(folder, 'data/model', 'mobilenetv2-12-qdq.onnx'), 'damaged');
    const { code, stdout } = await run();
    expect(code).to.equal(1);
    expect(stdout).to.match(/\nModel {2}unavailable: .*sha256.*\n$/);
  });

  it('install refuses a file that is not a model with one line, and leaves no file', async () => {
    await writeFile(join(folder, 'cat.onnx'), 'meow');
    for (const file of ['missing.onnx', 'cat.onnx']) {
      const { code, stderr } = await run('install', file);
      expect(code, file).to.equal(1);
      expect(stderr, file).to.match(/^darkroom: Expected [^\n]*\n$/);
    }
  });
});
