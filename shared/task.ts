import { z } from 'zod';
import { ERROR_CODES } from './errors.ts';
import { outputNameSchema } from './operations/definition.ts';
import { formatSchema, inputFormatSchema } from './operations/format.ts';
import { operationNameSchema, operationOf } from './operations/index.ts';

/** A task's id: nanoid's 21 URL-safe characters, 126 random bits, so that it is also the key to its result. */
export const taskIdSchema = z.string().regex(/^[A-Za-z0-9_-]{21}$/);

export const TASK_STATUSES = ['pending', 'processing', 'completed', 'failed', 'canceled'] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** True when a task's status can no longer change. */
export function hasEnded(status: TaskStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'canceled';
}

const errorSchema = z.object({ code: z.enum(ERROR_CODES), message: z.string() });
const count = z.int().nonnegative();

const outputBase = { name: outputNameSchema, operation: operationNameSchema };

/** One output as Server B sends it: `bytes` of picture follow it on the socket (0 for data and failures). */
export const outputHeaderSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('picture'),
    ...outputBase,
    format: formatSchema,
    width: count,
    height: count,
    frames: z.int().positive(),
    bytes: z.int().positive(),
  }),
  z
    .object({ kind: z.literal('data'), ...outputBase, data: z.record(z.string(), z.unknown()) })
    .refine(({ operation, data }) => operationOf(operation).data.safeParse(data).success, "the operation's own data"),
  z.object({ kind: z.literal('failure'), ...outputBase, error: errorSchema }),
]);
export type OutputHeader = z.infer<typeof outputHeaderSchema>;

/** Milliseconds spent in each step, such as `decode_ms`. */
export const timingsSchema = z.record(z.string().max(40), z.number().nonnegative());
export type Timings = z.infer<typeof timingsSchema>;

/** What had to be repaired in a picture before it could be decoded, a sentence each. */
export const warningsSchema = z.array(z.string().min(1).max(200)).max(20);

/** The input of a task. Until a listed URL has been fetched, only the URL is known. */
export const taskInputSchema = z.object({
  filename: z.string().nullable(),
  /** The URL that the picture is fetched from; null for an uploaded picture. */
  source_url: z.string().nullable(),
  format: inputFormatSchema.nullable(),
  width: count.nullable(),
  height: count.nullable(),
  /** Pictures of an animation; 1 for every other picture. */
  frames: count.nullable(),
  /** Pages of a TIFF without thumbnails and masks, of which the first is decoded; 1 for every other picture. */
  pages: count.nullable(),
  bytes: count.nullable(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  /** Path of the input picture while the service keeps it; else null. */
  original: z.string().nullable(),
});
export type TaskInput = z.infer<typeof taskInputSchema>;

/** An output as clients see it. The fields of a `data` operation are added to these. */
export const taskOutputSchema = z.looseObject({
  ...outputBase,
  status: z.enum(['completed', 'failed']),
  format: formatSchema.optional(),
  width: count.optional(),
  height: count.optional(),
  frames: count.optional(),
  bytes: count.optional(),
  url: z.string().optional(),
  error: errorSchema.optional(),
});
export type TaskOutput = z.infer<typeof taskOutputSchema>;

/** A task as every protocol shows it. Times are RFC 3339 in UTC. */
export const taskSchema = z.object({
  task_id: taskIdSchema,
  status: z.enum(TASK_STATUSES),
  /** Path of the first picture among the outputs, else null. */
  result: z.string().nullable(),
  input: taskInputSchema,
  outputs: z.array(taskOutputSchema),
  error: errorSchema.nullable(),
  attempts: count,
  created_at: z.string(),
  started_at: z.string().nullable(),
  finished_at: z.string().nullable(),
  /** When the outputs are removed; null until the task has ended. */
  expires_at: z.string().nullable(),
  timings: timingsSchema,
  /** Only there when the picture had to be repaired. */
  warnings: warningsSchema.optional(),
});
export type Task = z.infer<typeof taskSchema>;
