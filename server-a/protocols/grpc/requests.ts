import { z } from 'zod';
import { DarkroomError, expectedMessage } from '../../../shared/errors.ts';
import { circleParameters } from '../../../shared/operations/circle.ts';
import { classifyParameters, DEFAULT_TOP_K } from '../../../shared/operations/classify.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { readOutputs } from '../../../shared/operations/outputs.ts';
import { readParameters } from '../../../shared/operations/parameters.ts';
import { resizeContradiction, resizeParameters } from '../../../shared/operations/resize.ts';
import { taskIdSchema } from '../../../shared/task.ts';
import { keptFilename } from '../../intake/filename.ts';
import type { Presets } from '../../tasks/presets.ts';
import { enumSchema, FIT, FORMAT } from './enums.ts';
import { readMessage } from './read-message.ts';
import { readStruct, structMessage } from './struct.ts';

// Messages as proto-loader decodes them. The schemas in shared/operations check ranges.

const encodingMessage = z
  .object({ format: enumSchema(FORMAT), quality: z.number().optional(), grayscale: z.boolean() })
  .nullable();
const boxMessage = z.object({ width: z.number().optional(), height: z.number().optional(), fit: enumSchema(FIT) });
const resizeMessage = z.object({
  scale_factor: z.number().optional(),
  box: boxMessage.optional(),
  encoding: encodingMessage,
});
const circleMessage = z.object({ size: z.number(), encoding: encodingMessage });
const classifyMessage = z.object({ top_k: z.number() });
const outputMessage = z.object({ name: z.string(), operation: z.string(), parameters: structMessage });
const firstMessage = z.object({
  options: z.object({
    filename: z.string(),
    bytes: z.number().nonnegative().optional(),
    resize: resizeMessage.nullable(),
    circle: circleMessage.nullable(),
    classify: classifyMessage.nullable(),
    outputs: z.array(outputMessage).default([]),
    presets: z.array(z.string()).default([]),
  }),
});
const chunkMessage = z.object({ chunk: z.instanceof(Uint8Array) });
const taskIdMessage = z.object({ task_id: z.string() });
const resultMessage = taskIdMessage.extend({ name: z.string() });

export interface SubmitOptions {
  readonly filename: string | null;
  /** Declared by the client; null when it declares none. */
  readonly bytes: number | null;
  readonly specs: readonly OutputSpec[];
}

type Options = z.infer<typeof firstMessage>['options'];

/** The options in the first `SubmitRequest`. Throws BAD_REQUEST. */
export function readSubmitOptions(message: unknown, presets: Presets): SubmitOptions {
  const { options } = readMessage(firstMessage, message);
  const { filename, bytes = null } = options;
  return { filename: keptFilename(filename), bytes, specs: readSpecs(options, presets) };
}

function readSpecs(options: Options, presets: Presets): OutputSpec[] {
  const { resize, circle, classify, outputs, presets: names } = options;
  const flat: OutputSpec[] = [];
  if (resize !== null) flat.push(toResize(resize));
  if (circle !== null) flat.push(toCircle(circle));
  if (classify !== null) flat.push(toClassify(classify));
  if (outputs.length === 0 && names.length === 0) {
    if (flat.length > 0) return flat;
    const expected = 'outputs, presets, or at least one of resize, circle and classify';
    throw new DarkroomError('BAD_REQUEST', `Expected ${expected} in the options, received none of them`);
  }
  const [misplaced] = flat;
  if (misplaced !== undefined) {
    const expected = `no ${misplaced.operation} beside outputs and presets, which describe every output`;
    throw new DarkroomError('BAD_REQUEST', `Expected ${expected}, received both`);
  }
  const listed = outputs.map(({ name, operation, parameters }) => {
    return { ...readStruct(parameters), name, operation: operation === '' ? undefined : operation };
  });
  return presets.resolve(
    names.length === 0 ? undefined : names.join(','),
    listed.length === 0 ? [] : readOutputs(listed),
  );
}

function toResize({ scale_factor, box, encoding }: z.infer<typeof resizeMessage>): OutputSpec {
  const { width, height, fit } = box ?? {};
  if (scale_factor === undefined && width === undefined && height === undefined) {
    const message = 'Expected scale_factor, or a box with width or height, for resize, received neither';
    throw new DarkroomError('BAD_REQUEST', message);
  }
  const parameters = readParameters(resizeParameters, { scale_factor, width, height, fit, ...encoding });
  const contradiction = resizeContradiction(parameters);
  if (contradiction !== null) {
    const { expected, received } = contradiction;
    throw new DarkroomError('BAD_REQUEST', `Expected ${expected} for resize, received ${received}`);
  }
  return { name: 'resize', operation: 'resize', ...parameters };
}

function toCircle({ size, encoding }: z.infer<typeof circleMessage>): OutputSpec {
  return { name: 'circle', operation: 'circle', ...readParameters(circleParameters, { size, ...encoding }) };
}

function toClassify({ top_k }: z.infer<typeof classifyMessage>): OutputSpec {
  const parameters = readParameters(classifyParameters, { top_k: top_k === 0 ? DEFAULT_TOP_K : top_k });
  return { name: 'classify', operation: 'classify', ...parameters };
}

/** The bytes in a later `SubmitRequest`. Throws BAD_REQUEST. */
export function readChunk(message: unknown): Uint8Array {
  return readMessage(chunkMessage, message).chunk;
}

/** The task id of a request. Throws TASK_NOT_FOUND for a text that cannot be one. */
export function readTaskId(message: unknown): string {
  const { task_id } = readMessage(taskIdMessage, message);
  const id = taskIdSchema.safeParse(task_id);
  if (id.success) return id.data;
  throw new DarkroomError('TASK_NOT_FOUND', expectedMessage('the id of a known task', 'task_id', task_id));
}

/** The output's name in a `ResultRequest`, or undefined for the first picture. */
export function readOutputName(message: unknown): string | undefined {
  const { name } = readMessage(resultMessage, message);
  return name === '' ? undefined : name;
}
