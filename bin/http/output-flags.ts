import { readFile } from 'node:fs/promises';
import { invalid, systemCode } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json.ts';
import type { OutputSpec } from '../../shared/operations/index.ts';
import { checkOutputs, readOutputs, readTextOutput } from '../../shared/operations/outputs.ts';

/** `thumb:width=200,fit=cover`: a name, then parameters. */
const OUTPUT = /^(?<name>[^:=/\\]*):(?<parameters>\w+=.*)$/s;
/** A comma outside of brackets; `rgb(0, 0, 0)` has commas inside of them. */
const SEPARATOR = /,(?![^(]*\))/;

/** The values of all `-o` and `--output`: where pictures are saved, and which outputs are asked for. */
export interface OutputFlags {
  readonly path: string | undefined;
  readonly specs: readonly OutputSpec[];
}

/**
 * Separates outputs, such as `thumb:width=200,fit=cover`, from the path. Throws BAD_REQUEST for two paths and for an
 * invalid output.
 */
export function readOutputFlags(values: readonly string[]): OutputFlags {
  const paths = values.filter((value) => !OUTPUT.test(value));
  if (paths.length > 1) throw invalid('one path', '--output', paths.join(' and '));
  return { path: paths[0], specs: values.flatMap((value) => readOutputFlag(value) ?? []) };
}

/** The list of outputs in a JSON file. Throws BAD_REQUEST. */
export async function readOutputsFile(file: string): Promise<OutputSpec[]> {
  const list = parseJson(await readText(file));
  if (list === undefined) throw invalid('a file with a JSON list of outputs', '--outputs', file);
  return readOutputs(list);
}

/** One list of all outputs. Throws BAD_REQUEST when two have the same name, or there are more than 16. */
export function mergeOutputs(...lists: readonly (readonly OutputSpec[])[]): OutputSpec[] {
  const specs = lists.flat();
  if (specs.length > 0) checkOutputs(specs);
  return specs;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = systemCode(error);
    if (reason === undefined) throw error;
    throw invalid(`a file (${reason})`, '--outputs', file);
  }
}

function readOutputFlag(value: string): OutputSpec | null {
  const { name, parameters } = OUTPUT.exec(value)?.groups ?? {};
  if (name === undefined || parameters === undefined) return null;
  const pairs = parameters.split(SEPARATOR).map((pair): [string, string] => {
    const equals = pair.indexOf('=');
    if (equals < 1) throw invalid('name:parameter=value,…', '--output', value);
    return [pair.slice(0, equals).trim(), pair.slice(equals + 1)];
  });
  return readTextOutput(name, Object.fromEntries(pairs));
}
