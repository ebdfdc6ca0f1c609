import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describeModel, findModel, modelFolder } from '../../../server-b/model/find.ts';
import { fetchModel, installModel } from '../../../server-b/model/install.ts';
import { OFFICIAL_MODEL, OFFICIAL_SYNSET } from '../../../server-b/model/official.ts';
import { parseSynset } from '../../../server-b/model/synset.ts';
import { watchModel } from '../../../server-b/model/watch.ts';
import { createLogger } from '../../../shared/log.ts';
import { RecordingFiles } from '../../support/recording-files.ts';
import { requireShared } from '../../support/shared.ts';
import { tinyModel, tinySynset, writeTinyModel } from '../../support/tiny-model.ts';

const quiet = createLogger('test', 'silent');
const never = new AbortController().signal;

describe('model', () => {
  let folder: string;
  let dataDir: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-model-'));
    dataDir = join(folder, 'data');
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  describe('findModel', () => {
    it('resolves with null if there is none', async () => {
      expect(await findModel({ model: undefined, dataDir })).to.equal(null);
    });

    it('uses the given file, otherwise the data folder', async () => {
      await writeTinyModel(modelFolder(dataDir), 'kept.onnx');
      const given = await writeTinyModel(join(folder, 'mine'), 'mine.onnx');
      expect(await findModel({ model: given, dataDir })).to.include({ name: 'mine', onnx: given, official: false });
      expect(await findModel({ model: undefined, dataDir })).to.include({ name: 'kept', official: false });
    });

    it('recognizes the official model by its bytes', async function () {
      const models = join(requireShared(this), 'models');
      const found = await findModel({ model: join(models, OFFICIAL_MODEL.name), dataDir });
      expect(found).to.include({ name: 'mobilenetv2-12-qdq', official: true, sha256: OFFICIAL_MODEL.sha256 });
    });

    it('throws MODEL_UNAVAILABLE, with the reason, for files that cannot be used', async () => {
      const path = await writeTinyModel(join(folder, 'mine'));
      const synset = join(folder, 'mine', 'synset.txt');
      await rejected(findModel({ model: join(folder, 'none.onnx'), dataDir }), /Expected an \.onnx file for --model/);
      await rejected(findModel({ model: synset, dataDir }), /Expected an \.onnx file for --model/);
      await writeFile(path, 'no model');
      await rejected(findModel({ model: path, dataDir }), /protobuf parsing failed/i);
      await writeFile(path, renamedPort());
      await rejected(findModel({ model: path, dataDir }), /only input to be called 'input', received 'inpux'/);
      await writeFile(path, tinyModel());
      await writeFile(synset, 'n00000000 one\n');
      await rejected(findModel({ model: path, dataDir }), /Expected 1000 lines in synset.txt, received 1/);
      await rm(synset);
      await rejected(findModel({ model: path, dataDir }), /ENOENT/);
    });

    it('refuses a damaged official model in the data folder', async () => {
      await writeTinyModel(modelFolder(dataDir), OFFICIAL_MODEL.name);
      await rejected(findModel({ model: undefined, dataDir }), /Expected sha256 41a36090/);
    });
  });

  describe('installModel', () => {
    it('copies the model and its synset.txt durably, and then removes an older model', async () => {
      const source = await writeTinyModel(join(folder, 'mine'), 'older.onnx');
      const files = new RecordingFiles(folder);
      await installModel(source, dataDir, files);
      expect(files.take().map(withoutRandomNames)).to.deep.equal([
        'mkdir data/model',
        'fsync data',
        'fsync .',
        ...['synset.txt', 'older.onnx'].flatMap((name) => copySteps(`data/model/random/${name}`)),
        'rename data/model/random/synset.txt to data/model/synset.txt',
        'rename data/model/random/older.onnx to data/model/older.onnx',
        'fsync data/model',
      ]);
      const installed = await installModel(await writeTinyModel(join(folder, 'mine'), 'mine.onnx'), dataDir, files);
      expect(files.take().slice(-2)).to.deep.equal(['fsync data/model', 'unlink data/model/older.onnx']);
      expect(installed).to.include({ name: 'mine', onnx: join(modelFolder(dataDir), 'mine.onnx') });
      expect((await readdir(modelFolder(dataDir))).toSorted()).to.deep.equal(['mine.onnx', 'synset.txt']);
      expect(await findModel({ model: undefined, dataDir })).to.deep.equal(installed);
    });

    it('keeps the old model when the new one cannot be used', async () => {
      const kept = await installModel(await writeTinyModel(join(folder, 'mine')), dataDir);
      const bad = join(folder, 'bad', 'bad.onnx');
      await mkdir(join(folder, 'bad'));
      await writeFile(bad, 'no model');
      await rejected(installModel(bad, dataDir), /Expected synset.txt beside/);
      await writeFile(join(folder, 'bad', 'synset.txt'), tinySynset());
      await rejected(installModel(bad, dataDir), /protobuf parsing failed/i);
      await rejected(installModel(join(folder, 'none.onnx'), dataDir), /Expected an \.onnx file to install/);
      expect(await findModel({ model: undefined, dataDir })).to.deep.equal(kept);
      expect((await readdir(modelFolder(dataDir))).toSorted()).to.deep.equal(['synset.txt', 'tiny.onnx']);
    });

    it('keeps the official synset.txt for a model without one', async function () {
      const models = join(requireShared(this), 'models');
      await installModel(join(models, OFFICIAL_MODEL.name), dataDir);
      const alone = join(folder, 'alone.onnx');
      await writeFile(alone, tinyModel());
      expect(await installModel(alone, dataDir)).to.include({ name: 'alone', synsetSha256: OFFICIAL_SYNSET.sha256 });
      await copyFile(join(models, OFFICIAL_MODEL.name), join(folder, OFFICIAL_MODEL.name));
      expect(await installModel(join(folder, OFFICIAL_MODEL.name), dataDir)).to.include({ official: true });
    });
  });

  describe('describeModel', () => {
    it('resolves with the place of the model, the model and its files', async () => {
      const path = await writeTinyModel(modelFolder(dataDir));
      const report = await describeModel({ model: undefined, dataDir });
      expect(report).to.include({ place: modelFolder(dataDir), problem: null });
      expect(report.model).to.include({ name: 'tiny', official: false });
      expect(report.files[0]).to.deep.equal({ path, bytes: tinyModel().length, sha256: sha256(tinyModel()) });
    });

    it('resolves with the problem', async () => {
      expect(await describeModel({ model: undefined, dataDir })).to.deep.include({ model: null, files: [] });
      await writeFile(await writeTinyModel(modelFolder(dataDir)), 'no model');
      const report = await describeModel({ model: undefined, dataDir });
      expect(report.model).to.equal(null);
      expect(report.problem).to.match(/protobuf parsing failed/i);
      expect(report.files).to.have.length(2);
    });
  });

  describe('fetchModel', () => {
    let server: Server;
    let answers: Map<string, Uint8Array>;
    let base: string;

    beforeEach(async () => {
      answers = new Map([
        ['/tiny.onnx', tinyModel()],
        ['/synset.txt', Buffer.from(tinySynset())],
      ]);
      server = createServer((request, response) => {
        const body = answers.get(request.url ?? '');
        if (request.url === '/slow') response.write('x');
        else response.writeHead(body === undefined ? 404 : 200).end(body);
      });
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
      const address = server.address();
      base = typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : '';
    });

    afterEach(async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    });

    const sources = (...paths: string[]) => ({
      model: source('tiny.onnx', tinyModel(), paths),
      synset: source('synset.txt', Buffer.from(tinySynset()), ['/synset.txt']),
    });
    const source = (name: string, body: Uint8Array, paths: string[]) => {
      return { name, bytes: body.length, sha256: sha256(body), addresses: paths.map((path) => base + path) };
    };

    it('fetches both files durably, reports progress and leaves no other file', async () => {
      const progress: number[] = [];
      const onProgress = (bytes: number, total: number) => progress.push(bytes / total);
      const files = new RecordingFiles(folder);
      const model = await fetchModel({ dataDir, signal: never, onProgress, sources: sources('/tiny.onnx'), files });
      expect(model).to.include({ name: 'tiny' });
      expect(progress.at(-1)).to.equal(1);
      expect(progress).to.deep.equal(progress.toSorted((one, other) => one - other));
      expect((await readdir(modelFolder(dataDir))).toSorted()).to.deep.equal(['synset.txt', 'tiny.onnx']);
      const steps = files.take().map(withoutRandomNames);
      expect(steps.filter((step, index) => step !== steps[index - 1])).to.deep.equal([
        'mkdir data/model',
        'fsync data',
        'fsync .',
        ...copySteps('data/model/random'),
        ...copySteps('data/model/random'),
        'rename data/model/random to data/model/synset.txt',
        'rename data/model/random to data/model/tiny.onnx',
        'fsync data/model',
      ]);
    });

    it('tries the next address when one fails or has wrong bytes', async () => {
      answers.set('/other', Buffer.from(tinyModel()).fill(0, 0, 4));
      answers.set('/longer', Buffer.concat([tinyModel(), tinyModel()]));
      const all = sources('/none', '/other', '/longer', '/tiny.onnx');
      expect(await fetchModel({ dataDir, signal: never, onProgress: () => undefined, sources: all })).to.include({
        name: 'tiny',
      });
    });

    it('throws MODEL_UNAVAILABLE, and leaves no file, when no address has the right bytes', async () => {
      answers.set('/shorter', tinyModel().subarray(0, 100));
      const all = sources('/none', '/shorter');
      const fetching = fetchModel({ dataDir, signal: never, onProgress: () => undefined, sources: all });
      await rejected(fetching, /HTTP status 404.*received 100 of/);
      expect(await readdir(modelFolder(dataDir))).to.deep.equal([]);
    });

    it('stops when it is canceled', async () => {
      const cancel = new AbortController();
      const onProgress = () => cancel.abort();
      const error = await fetchModel({ dataDir, signal: cancel.signal, onProgress, sources: sources('/slow') }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).to.include({ code: 'CANCELED' });
      expect(await readdir(modelFolder(dataDir))).to.deep.equal([]);
    });
  });

  describe('watchModel', () => {
    it('yields null, an installed model, null when it is damaged, and the model again', async () => {
      const end = new AbortController();
      const models = watchModel({ model: undefined, dataDir, signal: end.signal, log: quiet, interval: 100 });
      expect(await models.next()).to.deep.equal({ done: false, value: null });
      const installed = await installModel(await writeTinyModel(join(folder, 'mine')), dataDir);
      expect(await models.next()).to.deep.equal({ done: false, value: installed });
      await writeFile(installed.onnx, 'no model');
      expect(await models.next()).to.deep.equal({ done: false, value: null });
      await installModel(join(folder, 'mine', 'tiny.onnx'), dataDir);
      expect(await models.next()).to.deep.equal({ done: false, value: installed });
    });

    it('ends when its signal aborts, even between two checks', async () => {
      const end = new AbortController();
      const models = watchModel({ model: undefined, dataDir, signal: end.signal, log: quiet, interval: 60_000 });
      await models.next();
      const next = models.next();
      end.abort();
      expect(await next).to.deep.equal({ done: true, value: undefined });
    });
  });

  describe('parseSynset', () => {
    it('returns the wnid and the first name of each class', async function () {
      const path = join(requireShared(this), 'models', OFFICIAL_SYNSET.name);
      const classes = parseSynset(await readFile(path, 'utf8'));
      expect(classes[281]).to.deep.equal({ wnid: 'n02123045', label: 'tabby' });
      expect(classes[285]).to.deep.equal({ wnid: 'n02124075', label: 'Egyptian cat' });
    });

    it('refuses a line that is not a class', () => {
      expect(() => parseSynset(tinySynset().replace('n00000004 ', ''))).to.throw(/line 5 of synset.txt/);
    });
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The tiny model with the wrong input name `inpux`. */
function renamedPort(): Buffer {
  return Buffer.from(Buffer.from(tinyModel()).toString('latin1').replaceAll('input', 'inpux'), 'latin1');
}

async function rejected(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await promise.then(
    () => expect.fail(`Expected a rejection with ${message}`),
    (thrown: unknown) => thrown,
  );
  expect(error).to.include({ code: 'MODEL_UNAVAILABLE' });
  expect(error).to.have.property('message').that.matches(message);
}

/** The steps that make a file of one chunk or more durable under a temporary name. */
function copySteps(name: string): string[] {
  return [`create ${name}`, `write ${name}`, `fsync ${name}`];
}

/** The step, with `random` for each temporary name. */
function withoutRandomNames(step: string): string {
  return step.replace(/\.[0-9a-f]{8}-[0-9a-f-]{27}/g, 'random');
}
