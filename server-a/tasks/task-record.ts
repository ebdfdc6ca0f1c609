import { z } from 'zod';
import { ERROR_CODES } from '../../shared/errors.ts';
import { operationsSchema } from '../../shared/operations.ts';
import {
  imageHeaderSchema,
  type OutputHeader,
  outputHeaderSchema,
  TASK_STATUSES,
  type Task,
  type TaskOutput,
  type Timings,
  taskIdSchema,
  timingsSchema,
} from '../../shared/task.ts';

/** A JSON text that holds what `schema` says. */
function json<Schema extends z.ZodType>(schema: Schema) {
  return z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: 'custom', message: 'Expected JSON' });
        return z.NEVER;
      }
    })
    .pipe(schema);
}

const storedOutputSchema = z.object({ header: outputHeaderSchema, sha256: z.string().nullable() });
const count = z.int().nonnegative();
const flag = z.union([z.literal(0), z.literal(1)]).transform((value) => value === 1);

/** A row of the store, its JSON columns read and checked. Times are milliseconds since 1970. */
export const taskRowSchema = z.object({
  id: taskIdSchema,
  status: z.enum(TASK_STATUSES),
  attempt: count,
  strikes: count,
  suspect: flag,
  filename: z.string().nullable(),
  header: json(imageHeaderSchema),
  bytes: count,
  sha256: z.string(),
  operations: json(operationsSchema),
  outputs: json(z.array(storedOutputSchema)),
  outputs_kept: flag,
  error: json(z.object({ code: z.enum(ERROR_CODES), message: z.string() })).nullable(),
  timings: json(timingsSchema),
  created_at: z.int(),
  started_at: z.int().nullable(),
  finished_at: z.int().nullable(),
  expires_at: z.int().nullable(),
});
export type TaskRow = z.infer<typeof taskRowSchema>;

/** The record every protocol shows. */
export function toTask(row: TaskRow): Task {
  const { format, width, height } = row.header;
  return {
    task_id: row.id,
    status: row.status,
    result: row.outputs.some((output) => output.header.kind === 'picture') ? `/result/${row.id}` : null,
    input: {
      filename: row.filename,
      source_url: null,
      format,
      width,
      height,
      bytes: row.bytes,
      sha256: row.sha256,
      original: null,
    },
    outputs: row.outputs.map((output) => toTaskOutput(row.id, output.header)),
    error: row.error,
    attempts: row.attempt,
    created_at: timestamp(row.created_at),
    started_at: row.started_at === null ? null : timestamp(row.started_at),
    finished_at: row.finished_at === null ? null : timestamp(row.finished_at),
    expires_at: row.expires_at === null ? null : timestamp(row.expires_at),
    timings: toTimings(row),
  };
}

/** An output as clients see it; only a picture has a url. */
export function toTaskOutput(id: string, header: OutputHeader): TaskOutput {
  const { name, operation } = header;
  switch (header.kind) {
    case 'picture': {
      const { format, width, height, frames, bytes } = header;
      const url = `/result/${id}/${name}`;
      return { name, operation, status: 'completed', format, width, height, frames, bytes, url };
    }
    case 'labels':
      return { name, operation, status: 'completed', model: header.model, labels: header.labels };
    case 'failure':
      return { name, operation, status: 'failed', error: header.error };
  }
}

function toTimings(row: TaskRow): Timings {
  if (row.started_at === null) return row.timings;
  // The wall clock may have been set back in between.
  return { queued_ms: Math.max(0, row.started_at - row.created_at), ...row.timings };
}

function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
