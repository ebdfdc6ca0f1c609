import { z } from 'zod';
import { ERROR_CODES } from './errors.ts';
import { formatSchema, operationNameSchema } from './operations.ts';

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

/**
 * What a picture's header says, found without decoding. `width` and `height` are upright pixels, after EXIF
 * orientation. frames × width × height × channels × depth / 8 is what decoding gives, in bytes.
 */
export const imageHeaderSchema = z.object({
  format: formatSchema,
  /** Pixels across, upright. */
  width: z.int().positive(),
  /** Pixels down one frame, upright. */
  height: z.int().positive(),
  /** Pictures in an animated GIF or WebP; 1 for everything else. */
  frames: z.int().positive(),
  /** Values per pixel as decoded, 1 to 5: grey, RGB, CMYK, each with or without alpha. */
  channels: z.int().min(1).max(5),
  /** Bits per value as decoded: 8, 16 or 32. */
  depth: z.union([z.literal(8), z.literal(16), z.literal(32)]),
  alpha: z.boolean(),
  /** Progressive JPEG, interlaced PNG or GIF, lossless WebP, TIFF in planes: decoding holds the whole picture in memory at once. */
  progressive: z.boolean(),
  /** EXIF orientation, 1 to 8 (CIPA DC-008, tag 0x0112); 1 where there is none. */
  orientation: z.int().min(1).max(8),
});
export type ImageHeader = z.infer<typeof imageHeaderSchema>;

/** One class the model named. */
export const labelSchema = z.object({
  /** Index in the model's 1000 outputs. */
  index: z.int().nonnegative(),
  /** WordNet id, such as n02123045. */
  wnid: z.string(),
  /** The class's first name, such as "tabby". */
  label: z.string(),
  /** Softmax probability, 0 to 1. */
  probability: z.number().min(0).max(1),
});
export type Label = z.infer<typeof labelSchema>;

const outputBase = { name: operationNameSchema, operation: operationNameSchema };

/** One output as Server B gives it: `bytes` of picture follow it on the socket (0 for labels and failures). */
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
  z.object({ kind: z.literal('labels'), ...outputBase, model: z.string(), labels: z.array(labelSchema) }),
  z.object({ kind: z.literal('failure'), ...outputBase, error: errorSchema }),
]);
export type OutputHeader = z.infer<typeof outputHeaderSchema>;

/** Milliseconds spent in each step, such as `decode_ms`. */
export const timingsSchema = z.record(z.string().max(40), z.number().nonnegative());
export type Timings = z.infer<typeof timingsSchema>;

/** What a task is made from. Of a URL that has not been fetched, only the URL is known. */
export const taskInputSchema = z.object({
  filename: z.string().nullable(),
  /** Where the picture comes from; null for one that was sent. */
  source_url: z.string().nullable(),
  format: formatSchema.nullable(),
  width: count.nullable(),
  height: count.nullable(),
  bytes: count.nullable(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  /** Path of the picture itself, for as long as it is kept; null for one that is not. */
  original: z.string().nullable(),
});
export type TaskInput = z.infer<typeof taskInputSchema>;

/** An output as clients see it. */
export const taskOutputSchema = z.object({
  ...outputBase,
  status: z.enum(['completed', 'failed']),
  format: formatSchema.optional(),
  width: count.optional(),
  height: count.optional(),
  frames: count.optional(),
  bytes: count.optional(),
  url: z.string().optional(),
  model: z.string().optional(),
  labels: z.array(labelSchema).optional(),
  error: errorSchema.optional(),
});
export type TaskOutput = z.infer<typeof taskOutputSchema>;

/** The record every protocol shows: what a client asked for, and how it went. Times are RFC 3339 in UTC. */
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
  /** When the outputs are thrown away; null until the task has ended. */
  expires_at: z.string().nullable(),
  timings: timingsSchema,
});
export type Task = z.infer<typeof taskSchema>;
