import { z } from 'zod';
import { ERROR_CODES } from '../../shared/errors.ts';
import { type ImageHeader, imageHeaderSchema } from '../../shared/image-header.ts';
import { parseJson } from '../../shared/json.ts';
import { outputSpecsSchema } from '../../shared/operations/outputs.ts';
import {
  type OutputHeader,
  outputHeaderSchema,
  TASK_STATUSES,
  type Task,
  type TaskOutput,
  type Timings,
  taskIdSchema,
  timingsSchema,
  warningsSchema,
} from '../../shared/task.ts';

/** A schema for a column of JSON text whose value matches `schema`. */
export function json<Schema extends z.ZodType>(schema: Schema) {
  return z.string().transform(parseJson).pipe(schema);
}

/** An output and the SHA-256 of its picture, as stored in a row. */
export const storedOutputSchema = z.object({ header: outputHeaderSchema, sha256: z.string().nullable() });
const count = z.int().nonnegative();
const flag = z.union([z.literal(0), z.literal(1)]).transform((value) => value === 1);

/** A row of the store with its JSON columns parsed and checked. Times are milliseconds since 1970. */
export const taskRowSchema = z.object({
  id: taskIdSchema,
  status: z.enum(TASK_STATUSES),
  stage: z.enum(['listed', 'ready']),
  attempt: count,
  strikes: count,
  suspect: flag,
  crashes: count,
  filename: z.string().nullable(),
  source_url: json(z.string()).nullable(),
  header: json(imageHeaderSchema).nullable(),
  bytes: count.nullable(),
  sha256: z.string().nullable(),
  specs: json(outputSpecsSchema),
  outputs: json(z.array(storedOutputSchema)),
  outputs_kept: flag,
  original_kept: flag,
  original_expires_at: z.int().nullable(),
  /** JSON. Not parsed here, because there may be many boxes and only snippets show them. */
  boxes: z.string().nullable(),
  boxes_at: z.int().nullable(),
  error: json(z.object({ code: z.enum(ERROR_CODES), message: z.string() })).nullable(),
  timings: json(timingsSchema),
  warnings: json(warningsSchema),
  created_at: z.int(),
  started_at: z.int().nullable(),
  finished_at: z.int().nullable(),
  expires_at: z.int().nullable(),
});
export type TaskRow = z.infer<typeof taskRowSchema>;

/** The columns for a task's state and the files it owns; none of them is JSON. */
export const taskStateSchema = taskRowSchema.pick({
  id: true,
  status: true,
  stage: true,
  attempt: true,
  outputs_kept: true,
  original_kept: true,
});
export type TaskState = z.infer<typeof taskStateSchema>;

/** A picture in the spool. */
export interface StoredPicture {
  readonly header: ImageHeader;
  readonly bytes: number;
  /** SHA-256 of the bytes, in hexadecimal. */
  readonly sha256: string;
}

/** The task record that every protocol shows. */
export function toTask(row: TaskRow): Task {
  const original = row.original_kept ? `/result/${row.id}/original` : null;
  return {
    task_id: row.id,
    status: row.status,
    result: resultPath(row, original),
    input: {
      filename: row.filename,
      source_url: row.source_url,
      format: row.header?.format ?? null,
      width: row.header?.width ?? null,
      height: row.header?.height ?? null,
      frames: row.header?.frames ?? null,
      pages: row.header === null ? null : (row.header.pages ?? 1),
      bytes: row.bytes,
      sha256: row.sha256,
      original,
    },
    outputs: row.outputs.map((output) => toTaskOutput(row.id, output.header)),
    error: row.error,
    attempts: row.attempt,
    created_at: timestamp(row.created_at),
    started_at: row.started_at === null ? null : timestamp(row.started_at),
    finished_at: row.finished_at === null ? null : timestamp(row.finished_at),
    expires_at: row.expires_at === null ? null : timestamp(row.expires_at),
    timings: toTimings(row),
    ...(row.warnings.length > 0 && { warnings: row.warnings }),
  };
}

/** The task record of a URL that was listed at `created_at`, milliseconds since 1970. */
export function listedTask(id: string, url: string, created_at: number): Task {
  const size = { format: null, width: null, height: null, frames: null, pages: null, bytes: null };
  const unknown = { ...size, sha256: null, original: null };
  return {
    task_id: id,
    status: 'pending',
    result: null,
    input: { filename: null, source_url: url, ...unknown },
    outputs: [],
    error: null,
    attempts: 0,
    created_at: timestamp(created_at),
    started_at: null,
    finished_at: null,
    expires_at: null,
    timings: {},
  };
}

/** The task's picture; null until it has been fetched. */
export function pictureOf({ header, bytes, sha256 }: TaskRow): StoredPicture | null {
  return header === null || bytes === null || sha256 === null ? null : { header, bytes, sha256 };
}

/** The path of the first picture among the outputs; the original for a completed task without pictures. */
function resultPath({ id, status, outputs }: TaskRow, original: string | null): string | null {
  if (outputs.some((output) => output.header.kind === 'picture')) return `/result/${id}`;
  return status === 'completed' ? original : null;
}

/** An output as clients see it; only pictures have a url. */
export function toTaskOutput(id: string, header: OutputHeader): TaskOutput {
  const { name, operation } = header;
  switch (header.kind) {
    case 'picture': {
      const { format, width, height, frames, bytes } = header;
      const url = `/result/${id}/${name}`;
      return { name, operation, status: 'completed', format, width, height, frames, bytes, url };
    }
    case 'data':
      return { name, operation, status: 'completed', ...header.data };
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
