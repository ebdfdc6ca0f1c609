import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chown, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { fetch } from 'undici';
import { makeFolder, syncFolder } from '../../shared/durable-folder.ts';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { type FileSystem, NODE_FILES } from '../../shared/file-system.ts';
import { inspectModel, type ModelFiles, modelFolder, sha256Of, synsetBeside } from './find.ts';
import { type ModelSource, OFFICIAL_MODEL, OFFICIAL_SYNSET } from './official.ts';

export interface FetchOptions {
  readonly dataDir: string;
  /** Ends the download; its temporary files are removed. */
  readonly signal: AbortSignal;
  /** Called for every chunk with the bytes received so far and the bytes in total, of all files. */
  readonly onProgress: (bytes: number, total: number) => void;
  /** The files to fetch: the .onnx file and its synset.txt. */
  readonly sources?: { readonly model: ModelSource; readonly synset: ModelSource };
  readonly files?: FileSystem;
}

/** A complete file with a temporary name. */
interface Staged {
  readonly temporary: string;
  readonly path: string;
}

/** Milliseconds one address may take for one file. */
const FETCH_MS = 300_000;

/**
 * Downloads the official classifier into the data folder and resolves with it. Size and sha256 of each file are checked
 * before the file gets its name. Throws MODEL_UNAVAILABLE when no address gives the right bytes, CANCELED when `signal`
 * aborts.
 */
export async function fetchModel(options: FetchOptions): Promise<ModelFiles> {
  const { dataDir, signal, onProgress, files = NODE_FILES } = options;
  const { model, synset } = options.sources ?? { model: OFFICIAL_MODEL, synset: OFFICIAL_SYNSET };
  const folder = await makeModelFolder(dataDir, files);
  const total = model.bytes + synset.bytes;
  const staged: Staged[] = [];
  try {
    staged.push(await fetchFile(folder, synset, files, signal, (bytes) => onProgress(bytes, total)));
    staged.push(await fetchFile(folder, model, files, signal, (bytes) => onProgress(synset.bytes + bytes, total)));
    await putInPlace(folder, staged, files);
  } finally {
    await Promise.all(staged.map(({ temporary }) => rm(temporary, { force: true })));
  }
  return inspectModel(join(folder, model.name), true);
}

/**
 * Copies an .onnx file and the synset.txt in its folder to the data folder, where a running Server B finds them, and
 * resolves with the installed model. If the file's folder has no synset.txt, the official one in the data folder is
 * used. Throws MODEL_UNAVAILABLE, and changes nothing, when the files are not a usable model.
 */
export async function installModel(file: string, dataDir: string, files = NODE_FILES): Promise<ModelFiles> {
  const source = resolve(file);
  if (!source.endsWith('.onnx') || !(await isFile(source))) {
    throw new DarkroomError('MODEL_UNAVAILABLE', `Expected an .onnx file to install, received '${file}'`);
  }
  const folder = await makeModelFolder(dataDir, files);
  const beside = synsetBeside(source);
  const hasSynset = await isFile(beside);
  if (!hasSynset && !(await hasOfficialSynset(folder))) {
    throw new DarkroomError('MODEL_UNAVAILABLE', `Expected synset.txt beside ${source}, received no such file`);
  }
  const target = join(folder, basename(source));
  // The copy is checked in its own folder, so that the model in use is replaced only by one that works.
  const trial = join(folder, `.${randomUUID()}`);
  await mkdir(trial, { mode: 0o700 });
  try {
    const synset = hasSynset ? beside : synsetBeside(target);
    const copies = [
      { from: synset, temporary: join(trial, OFFICIAL_SYNSET.name), path: synsetBeside(target) },
      { from: source, temporary: join(trial, basename(source)), path: target },
    ];
    for (const { from, temporary } of copies) await writeDurably(temporary, createReadStream(from), files);
    await inspectModel(join(trial, basename(source)), true);
    await putInPlace(folder, copies, files);
    return await inspectModel(target, true);
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
}

async function fetchFile(
  folder: string,
  source: ModelSource,
  files: FileSystem,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<Staged> {
  const temporary = join(folder, `.${randomUUID()}`);
  const reasons: string[] = [];
  for (const address of source.addresses) {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(FETCH_MS)]);
      const response = await fetch(address, { signal: limit });
      if (!response.ok || response.body === null) throw new Error(`received HTTP status ${response.status}`);
      await writeDurably(temporary, checked(response.body, source, onBytes), files);
      return { temporary, path: join(folder, source.name) };
    } catch (error) {
      await rm(temporary, { force: true });
      if (signal.aborted)
        throw new DarkroomError('CANCELED', `Fetching ${source.name} was canceled.`, { cause: error });
      reasons.push(`${address}: ${reasonOf(error)}`);
    }
  }
  throw new DarkroomError('MODEL_UNAVAILABLE', `${source.name} could not be fetched: ${reasons.join('; ')}`);
}

/** Passes on the chunks of a file. Throws at the first byte too many, and at the end when size or sha256 is wrong. */
async function* checked(
  chunks: AsyncIterable<Uint8Array>,
  source: ModelSource,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > source.bytes) throw new Error(`Expected ${source.bytes} bytes, received more`);
    hash.update(chunk);
    onBytes(bytes);
    yield chunk;
  }
  const sha256 = hash.digest('hex');
  if (sha256 !== source.sha256) {
    throw new Error(`Expected ${source.bytes} bytes of sha256 ${source.sha256}, received ${bytes} of ${sha256}`);
  }
}

async function writeDurably(
  path: string,
  chunks: Readable | AsyncIterable<Uint8Array>,
  files: FileSystem,
): Promise<void> {
  const file = await files.open(path, 'wx', 0o600);
  try {
    for await (const chunk of chunks) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Renames the files to their places, the .onnx file last, because a watcher looks for that. Older models are removed
 * only when the new names are durable, so that a power cut leaves either the old or the new model.
 */
async function putInPlace(folder: string, staged: readonly Staged[], files: FileSystem): Promise<void> {
  await giveToOwner(folder, staged);
  for (const { temporary, path } of staged) await files.rename(temporary, path);
  await syncFolder(folder, files);
  const kept = new Set(staged.map(({ path }) => basename(path)));
  const names = await readdir(folder);
  const older = names.filter((name) => name.endsWith('.onnx') && !kept.has(name));
  await Promise.all(older.map((name) => removeFile(join(folder, name), files)));
}

/** Files that root installs belong to the owner of the data folder, whose Server B must read them: they are private. */
async function giveToOwner(folder: string, staged: readonly Staged[]): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dirname(folder));
  for (const path of [folder, ...staged.map(({ temporary }) => temporary)]) await chown(path, uid, gid);
}

/** Removes a file, unless it is already removed. */
async function removeFile(path: string, files: FileSystem): Promise<void> {
  try {
    await files.unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

async function makeModelFolder(dataDir: string, files: FileSystem): Promise<string> {
  const folder = modelFolder(dataDir);
  await makeFolder(folder, 0o700, files);
  return folder;
}

async function hasOfficialSynset(folder: string): Promise<boolean> {
  const path = join(folder, OFFICIAL_SYNSET.name);
  return (await isFile(path)) && (await sha256Of(path)) === OFFICIAL_SYNSET.sha256;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
