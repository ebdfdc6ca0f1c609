import { mkdir, stat } from 'node:fs/promises';
import { dirname, extname, join, parse, resolve, sep } from 'node:path';
import { invalid, systemCode } from '../../shared/errors.ts';
import type { TaskOutput } from '../../shared/task.ts';
import { extensionFor } from './formats.ts';
import type { Input, Inputs } from './inputs.ts';

/** Where the pictures of one input are saved. */
export interface Destination {
  /** Path without extension. */
  readonly stem: string;
  /** Extension of the first picture when --output has one; else the format decides. */
  readonly extension: string | undefined;
}

/**
 * A destination for each input: the path `output` for one file, else the input's name in the folder `output`. A name
 * that is already taken by an output or an input gets a number (`cat-2`). `extras` are the outputs of each input,
 * without its first picture. Creates folders, but no files.
 */
export async function planDestinations(
  inputs: Inputs,
  output: string,
  extras: readonly string[],
): Promise<Map<Input, Destination>> {
  const [first] = inputs.files;
  const isSingle = inputs.files.length === 1 && !inputs.hasFolder && !output.endsWith(sep);
  if (isSingle && first !== undefined && !(await isExistingFolder(output))) {
    await mkdir(dirname(output), { recursive: true });
    return new Map([[first, { stem: withoutExtension(output), extension: extname(output) || undefined }]]);
  }
  const taken = new Set(inputs.files.map(({ path }) => nameKey(withoutExtension(path))));
  const plan = new Map<Input, Destination>();
  for (const input of inputs.files) {
    const stem = freeStem(withoutExtension(join(output, input.within)), extras, taken);
    await makeFolder(dirname(stem));
    plan.set(input, { stem, extension: undefined });
  }
  return plan;
}

/** The file for an output: the first picture has the destination's name; others append their own (`cat-circle.png`). */
export function destinationPath(
  input: Input,
  destination: Destination,
  output: Pick<TaskOutput, 'name' | 'format'>,
  isFirst: boolean,
): string {
  const original = extname(input.path);
  const byFormat = output.format === undefined ? original : extensionFor(output.format, original);
  if (isFirst) return destination.stem + (destination.extension ?? byFormat);
  return `${destination.stem}-${output.name}${byFormat}`;
}

/** Takes the first of `stem`, `stem-2`, `stem-3`, … that is free, also with each extra's name appended. */
function freeStem(stem: string, extras: readonly string[], taken: Set<string>): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? stem : `${stem}-${number}`;
    const names = [candidate, ...extras.map((extra) => `${candidate}-${extra}`)].map(nameKey);
    if (names.some((name) => taken.has(name))) continue;
    for (const name of names) taken.add(name);
    return candidate;
  }
}

/** Paths are compared without case, because some file systems ignore it. */
function nameKey(path: string): string {
  return resolve(path).toLowerCase();
}

function withoutExtension(path: string): string {
  const { dir, name } = parse(path);
  return join(dir, name);
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST' && systemCode(error) !== 'ENOTDIR') throw error;
    throw invalid('a folder', '--output', path);
  }
}

async function isExistingFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
