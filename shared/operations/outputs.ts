import { z } from 'zod';
import { DarkroomError, invalid } from '../errors.ts';
import { parseJson } from '../json.ts';
import { outputNameSchema } from './definition.ts';
import { findOperation, OPERATION_NAMES, type OutputSpec, outputSpecSchema } from './index.ts';
import { fromTexts, readParameters } from './parameters.ts';

/** The most outputs of one task. */
export const MAX_OUTPUTS = 16;
/** The name by which a kept input picture is fetched; reserved, so no output may have it. */
export const ORIGINAL = 'original';

const entrySchema = z.looseObject({ name: z.unknown().optional(), operation: z.unknown().optional() });

/** The outputs of one task: 1 to 16, each with a different name. */
export const outputSpecsSchema = z
  .array(outputSpecSchema)
  .min(1)
  .max(MAX_OUTPUTS)
  .refine((list) => findRepeated(list.map(({ name }) => name)) === undefined, 'each name once');

/** Reads the field `outputs` of a form or a query, a JSON text. Throws like {@link readOutputs}. */
export function parseOutputs(text: string): OutputSpec[] {
  return readOutputs(parseJson(text), text);
}

/**
 * Reads a list of outputs as clients write it; `operation` defaults to `resize`. Throws BAD_REQUEST that names the
 * output and the field. If the value is not a list, the message shows `shown`. `within`, such as " of the preset
 * avatar", follows each name in the message.
 */
export function readOutputs(given: unknown, shown: unknown = given, within = ''): OutputSpec[] {
  if (!Array.isArray(given)) throw invalid('a JSON list of outputs', `outputs${within}`, shown);
  const specs = given.map((entry: unknown, index) => readOutput(entry, index + 1, within));
  checkOutputs(specs, within);
  return specs;
}

/** Throws BAD_REQUEST for an empty list, for more than 16 outputs, and for two outputs of one name. */
export function checkOutputs(specs: readonly OutputSpec[], within = ''): void {
  if (specs.length === 0 || specs.length > MAX_OUTPUTS) {
    throw invalid(`1 to ${MAX_OUTPUTS} outputs`, `outputs${within}`, specs.length);
  }
  const repeated = findRepeated(specs.map(({ name }) => name));
  if (repeated === undefined) return;
  throw new DarkroomError('BAD_REQUEST', `Expected each output's name once${within}, received '${repeated}' twice`);
}

/** Reads one output whose parameters are texts, as on a command line. Throws like {@link readOutputs}. */
export function readTextOutput(name: string, texts: Readonly<Record<string, unknown>>): OutputSpec {
  const operation = findOperation(String(texts['operation'] ?? 'resize'));
  return readOutput({ name, ...(operation === undefined ? texts : fromTexts(operation.schema, texts)) }, 1, '', texts);
}

function readOutput(
  entry: unknown,
  position: number,
  within: string,
  texts?: Readonly<Record<string, unknown>>,
): OutputSpec {
  const parsed = entrySchema.safeParse(entry);
  if (!parsed.success) throw invalid('an object', `output ${position}${within}`, entry);
  const { name, operation = 'resize', ...parameters } = parsed.data;
  if (!outputNameSchema.safeParse(name).success || name === ORIGINAL) {
    const expected = `1 to 32 of a-z, 0-9 and '-', not beginning with '-' and not '${ORIGINAL}',`;
    throw invalid(expected, `name of output ${position}${within}`, name);
  }
  const where = ` of the output ${name}${within}`;
  const shown = texts ?? parsed.data;
  const definition = typeof operation === 'string' ? findOperation(operation) : undefined;
  if (definition === undefined) throw invalid(`one of ${OPERATION_NAMES.join(', ')}`, `operation${where}`, operation);
  const spec = outputSpecSchema.parse(
    readParameters(definition.schema, { name, operation, ...parameters }, { where, shown }),
  );
  const contradiction = definition.contradiction(spec);
  if (contradiction === null) return spec;
  const { expected, received } = contradiction;
  throw new DarkroomError('BAD_REQUEST', `Expected ${expected} for the output ${name}${within}, received ${received}`);
}

function findRepeated(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index);
}
