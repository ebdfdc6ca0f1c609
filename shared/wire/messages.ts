import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { ERROR_CODES, invalid } from '../errors.ts';
import { imageHeaderSchema } from '../image-header.ts';
import { parseJson } from '../json.ts';
import { inputFormatSchema } from '../operations/format.ts';
import { outputSpecsSchema } from '../operations/outputs.ts';
import { outputHeaderSchema, taskIdSchema, timingsSchema, warningsSchema } from '../task.ts';
import type { MessageKind } from './frame.ts';

/** An instance of Server B that has ended. */
export const endedInstanceSchema = z.object({
  instance: z.string().min(1).max(64),
  /** `crashed`: a job can have caused the end. `killed`: the end came from outside. */
  cause: z.enum(['crashed', 'killed']),
});
export type EndedInstance = z.infer<typeof endedInstanceSchema>;

const problemSchema = z.object({ code: z.enum(ERROR_CODES), message: z.string() });

/** The payload of each frame kind that has a JSON one. */
export const MESSAGE_SCHEMAS = {
  /** Server B reads `protocol` first: the other fields have a meaning only when it has the same version. */
  HELLO: z.object({ protocol: z.int(), token: z.string().max(1024) }),
  WELCOME: z.object({
    protocol: z.int(),
    instance: z.string().min(1).max(64),
    slots: z.int().min(1).max(1024),
    operations: z.array(z.string().max(40)).max(100),
    formats: z.array(inputFormatSchema),
    model: z.string().max(200).nullable(),
    /** The instances before this one that its supervisor knows. An older Server B does not say it. */
    ended: z.array(endedInstanceSchema).max(64).optional(),
    /** The memory that all running jobs share, in bytes. An older Server B does not say it. */
    memory_bytes: z.int().positive().optional(),
  }),
  JOB: z.object({
    id: taskIdSchema,
    attempt: z.int().positive(),
    outputs: outputSpecsSchema,
    /** Length of the body that follows GO. */
    bytes: z.int().positive(),
    image: imageHeaderSchema,
    /** Milliseconds a worker may take. */
    deadline_ms: z.int().positive(),
    alone: z.boolean().default(false),
  }),
  REFUSE: problemSchema,
  OUTPUT: outputHeaderSchema,
  DONE: z.object({ timings: timingsSchema, warnings: warningsSchema.optional() }),
  FAIL: problemSchema,
} as const satisfies Record<MessageKind, z.ZodType>;

/** The message of one kind, as its receiver sees it. */
export type Message<Kind extends MessageKind> = z.output<(typeof MESSAGE_SCHEMAS)[Kind]>;

/**
 * The message of a JSON payload. Throws BAD_REQUEST when the payload is not UTF-8, not JSON or not of the schema. The
 * error does not quote the payload, which may contain the token.
 */
export function parseMessage<Schema extends z.ZodType>(
  kind: MessageKind,
  schema: Schema,
  payload: Buffer,
): z.output<Schema> {
  const json = isUtf8(payload) ? parseJson(payload.toString('utf8')) : undefined;
  if (json === undefined) throw invalid('JSON in UTF-8', `the payload of ${kind}`, `${payload.length} other bytes`);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const expected = `a message of its schema (${issue?.message ?? 'as docs/protocol.md has it'})`;
  throw invalid(expected, kind, `a fault at '${issue?.path.join('.') ?? ''}'`);
}
