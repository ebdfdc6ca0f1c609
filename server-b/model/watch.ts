import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { untilAligned } from '../../shared/aligned.ts';
import { systemCode } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { findModel, type ModelFiles, type ModelPlace, modelFolder, synsetBeside } from './find.ts';

/** Milliseconds between two checks. */
const INTERVAL_MS = 2000;

export interface WatchOptions extends ModelPlace {
  /** Ends the watching. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Milliseconds between two checks. */
  readonly interval?: number;
}

/**
 * Yields the classifier that the first check finds (null: none), and then the new one after each change, so that a
 * model installed while Server B runs is used without a restart. Checks every two seconds. A model that cannot be used
 * counts as none; the reason is logged once. Ends when `signal` aborts; never throws. The timer does not keep the
 * process alive.
 */
export async function* watchModel(options: WatchOptions): AsyncGenerator<ModelFiles | null, void> {
  const { signal, interval = INTERVAL_MS } = options;
  let seen: string | null = null;
  let current: ModelFiles | null | undefined;
  while (!signal.aborted) {
    const signature = await signatureOf(options);
    const found = signature === seen ? undefined : await findUsable(options);
    if (signal.aborted) return;
    // Files that changed while they were read are checked again.
    if (found !== undefined && signature === (await signatureOf(options))) {
      const isNew = current === undefined || keyOf(found) !== keyOf(current);
      current = found;
      seen = signature;
      if (isNew) yield found;
    }
    await sleep(untilAligned(Date.now(), interval), undefined, { ref: false, signal }).catch(() => undefined);
  }
}

async function findUsable(options: WatchOptions): Promise<ModelFiles | null> {
  try {
    return await findModel(options);
  } catch (error) {
    options.log.warn({ err: error }, 'the classifier cannot be used');
    return null;
  }
}

function keyOf(model: ModelFiles | null): string {
  return model === null ? '' : `${model.onnx} ${model.sha256} ${model.synsetSha256}`;
}

/** A text that changes when a file of the model changes. It costs only a few stat calls. */
async function signatureOf({ model, dataDir }: ModelPlace): Promise<string> {
  const folder = modelFolder(dataDir);
  const paths = model === undefined ? await listFiles(folder) : [resolve(model), synsetBeside(resolve(model))];
  const parts = await Promise.all(paths.map(signatureOfFile));
  return parts.join('\n');
}

async function listFiles(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => !name.startsWith('.')).map((name) => join(folder, name));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    return [`${folder}: ${systemCode(error)}`];
  }
}

async function signatureOfFile(path: string): Promise<string> {
  try {
    const { size, mtimeMs, ino } = await stat(path);
    return `${path} ${size} ${mtimeMs} ${ino}`;
  } catch (error) {
    return `${path} ${systemCode(error)}`;
  }
}
