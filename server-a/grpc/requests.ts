import { z } from 'zod';
import { DarkroomError, expectedMessage, invalid } from '../../shared/errors.ts';
import {
  circleFormat,
  circleSchema,
  classifySchema,
  DEFAULT_TOP_K,
  type Operation,
  resizeSchema,
} from '../../shared/operations.ts';
import { taskIdSchema } from '../../shared/task.ts';
import { keptFilename } from '../filename.ts';
import { enumSchema, FIT, FORMAT } from './enums.ts';
import { readMessage } from './read-message.ts';

// The messages as proto-loader gives them; bounds are the operations' own, in shared/operations.ts.

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
const firstMessage = z.object({
  options: z.object({
    filename: z.string(),
    bytes: z.number().nonnegative().optional(),
    resize: resizeMessage.nullable(),
    circle: circleMessage.nullable(),
    classify: classifyMessage.nullable(),
  }),
});
const chunkMessage = z.object({ chunk: z.instanceof(Uint8Array) });
const taskIdMessage = z.object({ task_id: z.string() });
const resultMessage = taskIdMessage.extend({ name: z.string() });

/** What a picture is to become, and what the client calls it. */
export interface SubmitOptions {
  readonly filename: string | null;
  /** What the client declares; null when it does not. */
  readonly bytes: number | null;
  readonly operations: readonly Operation[];
}

/** The options of a `SubmitRequest`, which the first must be. Throws BAD_REQUEST. */
export function readSubmitOptions(message: unknown): SubmitOptions {
  const { options } = readMessage(firstMessage, message);
  const { filename, bytes = null, resize, circle, classify } = options;
  const operations: Operation[] = [];
  if (resize !== null) operations.push(toResize(resize));
  if (circle !== null) operations.push(toCircle(circle));
  if (classify !== null) operations.push(toClassify(classify));
  if (operations.length === 0) throw invalid('at least one of resize, circle and classify', 'options', 'none');
  return { filename: keptFilename(filename), bytes, operations };
}

function toResize({ scale_factor, box, encoding }: z.infer<typeof resizeMessage>): Operation {
  const { width, height, fit } = box ?? {};
  if (scale_factor === undefined && width === undefined && height === undefined) {
    throw invalid('scale_factor, or a box with width or height', 'resize', 'neither');
  }
  return readMessage(resizeSchema, { operation: 'resize', scale_factor, width, height, fit, ...encoding });
}

function toCircle({ size, encoding }: z.infer<typeof circleMessage>): Operation {
  const format = encoding?.format ?? 'png';
  // Here it is the circle's own, so that another one is a mistake.
  if (circleFormat(format) !== format) throw invalid('png, webp or avif', "the circle's format", format);
  return readMessage(circleSchema, { operation: 'circle', size, ...encoding, format });
}

function toClassify({ top_k }: z.infer<typeof classifyMessage>): Operation {
  return readMessage(classifySchema, { operation: 'classify', top_k: top_k === 0 ? DEFAULT_TOP_K : top_k });
}

/** The bytes of a `SubmitRequest` after the first. Throws BAD_REQUEST. */
export function readChunk(message: unknown): Uint8Array {
  return readMessage(chunkMessage, message).chunk;
}

/** The id a request names. Throws TASK_NOT_FOUND for what cannot be one. */
export function readTaskId(message: unknown): string {
  const { task_id } = readMessage(taskIdMessage, message);
  const id = taskIdSchema.safeParse(task_id);
  if (id.success) return id.data;
  throw new DarkroomError('TASK_NOT_FOUND', expectedMessage('the id of a known task', 'task_id', task_id));
}

/** The output a `ResultRequest` names, or undefined for the first picture. */
export function readOutputName(message: unknown): string | undefined {
  const { name } = readMessage(resultMessage, message);
  return name === '' ? undefined : name;
}
