import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { OFFICIAL_MODEL, OFFICIAL_SYNSET } from './official.ts';
import { parseSynset } from './synset.ts';

/** A classifier whose files were checked: the paths that a worker loads, and the facts that clients see. */
export interface ModelFiles {
  /** The file's name without `.onnx`; every classify output shows it. */
  readonly name: string;
  /** Absolute path of the .onnx file. */
  readonly onnx: string;
  /** Absolute path of the synset.txt in the same folder. */
  readonly synset: string;
  /** Of the .onnx file, in hexadecimal. */
  readonly sha256: string;
  readonly synsetSha256: string;
  /** True for the exact bytes of MobileNetV2 from onnx/models; false for a model of the user's own. */
  readonly official: boolean;
}

/** Where to look for a classifier: the file `model`, else the folder `model` in the data folder. */
export interface ModelPlace {
  readonly model: string | undefined;
  readonly dataDir: string;
}

/** The facts that `darkroom model` shows. */
export interface ModelReport {
  /** Where the model is looked for: the path of --model, else the folder in the data folder. */
  readonly place: string;
  /** The model when it is usable, else null. */
  readonly model: ModelFiles | null;
  /** Why there is no usable model, else null. */
  readonly problem: string | null;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

/** The folder in the data folder that holds the model. */
export function modelFolder(dataDir: string): string {
  return resolve(dataDir, 'model');
}

/**
 * Finds the classifier and checks it: the official one by its sha256, any other by loading it in a separate thread.
 * Resolves with null when there is none. Throws MODEL_UNAVAILABLE when it cannot be used: --model does not exist,
 * synset.txt is missing, a file is damaged, or the interface is not the expected one.
 */
export async function findModel(place: ModelPlace): Promise<ModelFiles | null> {
  const onnx = await findOnnx(place);
  return onnx === null ? null : inspectModel(onnx, place.model === undefined);
}

/** Describes the classifier and its files. Does not throw for a model that cannot be used: `problem` has the reason. */
export async function describeModel(place: ModelPlace): Promise<ModelReport> {
  const where = place.model === undefined ? modelFolder(place.dataDir) : resolve(place.model);
  try {
    const onnx = await findOnnx(place);
    if (onnx === null) return { place: where, model: null, problem: 'there is no model', files: [] };
    const files = await Promise.all([onnx, synsetBeside(onnx)].map(describeFile));
    const report = { place: where, files: files.flatMap((file) => file ?? []) };
    try {
      return { ...report, model: await inspectModel(onnx, place.model === undefined), problem: null };
    } catch (error) {
      return { ...report, model: null, problem: messageOf(error) };
    }
  } catch (error) {
    return { place: where, model: null, problem: messageOf(error), files: [] };
  }
}

/**
 * Checks an .onnx file with the synset.txt in its folder. With `strictName`, a file with the official name must be the
 * official file: a damaged copy must not count as a model of the user's own. Throws MODEL_UNAVAILABLE.
 */
export async function inspectModel(onnx: string, strictName: boolean): Promise<ModelFiles> {
  const synset = synsetBeside(onnx);
  try {
    parseSynset(await readFile(synset, 'utf8'));
    const [sha256, synsetSha256] = await Promise.all([sha256Of(onnx), sha256Of(synset)]);
    const name = basename(onnx, '.onnx');
    const official = sha256 === OFFICIAL_MODEL.sha256 && synsetSha256 === OFFICIAL_SYNSET.sha256;
    if (strictName && basename(onnx) === OFFICIAL_MODEL.name && sha256 !== OFFICIAL_MODEL.sha256) {
      throw new Error(`Expected sha256 ${OFFICIAL_MODEL.sha256} for ${OFFICIAL_MODEL.name}, received ${sha256}`);
    }
    const model = { name, onnx, synset, sha256, synsetSha256, official };
    if (sha256 !== OFFICIAL_MODEL.sha256) await tryModel(model);
    return model;
  } catch (error) {
    throw new DarkroomError('MODEL_UNAVAILABLE', `The model ${onnx} cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The synset.txt that belongs to an .onnx file. */
export function synsetBeside(onnx: string): string {
  return join(dirname(onnx), OFFICIAL_SYNSET.name);
}

/** The sha256 of a file, in hexadecimal. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** The .onnx file given, or the newest in the data folder, or null. */
async function findOnnx({ model, dataDir }: ModelPlace): Promise<string | null> {
  if (model !== undefined) {
    const path = resolve(model);
    const found = await statOrNull(path);
    if (found?.isFile() && path.endsWith('.onnx')) return path;
    throw new DarkroomError('MODEL_UNAVAILABLE', `Expected an .onnx file for --model, received '${model}'`);
  }
  const folder = modelFolder(dataDir);
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  });
  const files = names.filter((name) => name.endsWith('.onnx')).map((name) => join(folder, name));
  const dated = await Promise.all(files.map(async (path) => ({ path, time: (await statOrNull(path))?.mtimeMs ?? 0 })));
  return dated.toSorted((one, other) => other.time - one.time)[0]?.path ?? null;
}

/** Loads a model in a separate thread, so that this thread does not load ONNX Runtime. Throws with the reason. */
async function tryModel(model: ModelFiles): Promise<void> {
  const thread = new Worker(new URL('./check-thread.js', import.meta.url), { workerData: model });
  const reason = await new Promise<string | null>((settle, fail) => {
    thread.once('message', (message: unknown) => settle(message === null ? null : String(message)));
    thread.once('error', fail);
    thread.once('exit', () => fail(new Error('the thread ended while it loaded the model')));
  });
  if (reason !== null) throw new Error(reason);
}

async function describeFile(path: string) {
  const found = await statOrNull(path);
  return found === null ? null : { path, bytes: found.size, sha256: await sha256Of(path) };
}

async function statOrNull(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
