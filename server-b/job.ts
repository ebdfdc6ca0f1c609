import { z } from 'zod';
import type { ErrorCode, ErrorDescription } from '../shared/errors.ts';
import type { Operation, OperationName } from '../shared/operations.ts';
import type { ImageHeader, OutputHeader, Timings } from '../shared/task.ts';
import type { ModelFiles } from './model.ts';

/** What one operation gave: its header, and the encoded picture where it drew one. */
export interface PictureOutput {
  readonly header: OutputHeader;
  readonly picture: Uint8Array<ArrayBuffer> | null;
}

/** The one end of a job. Operations fail apart, so a job is `done` even when some of its outputs are failures. */
export type JobOutcome =
  | { readonly kind: 'done'; readonly outputs: PictureOutput[]; readonly timings: Timings }
  | { readonly kind: 'failed'; readonly error: ErrorDescription };

/** What the pool sends to a worker thread. The body moves there; it is not copied. */
export interface WorkerJob {
  readonly operations: readonly Operation[];
  readonly image: ImageHeader;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Milliseconds from the moment the worker takes the job. */
  readonly deadlineMs: number;
  readonly model: ModelFiles | null;
}

/** What went wrong inside in words for the log, never for a client. */
export interface Fault {
  readonly step: OperationName | 'decode';
  readonly code: ErrorCode;
  readonly reason: string;
}

/** What a worker thread returns. An error thrown in a thread loses its class and code, so all ends are data. */
export interface WorkerReply {
  readonly outcome: JobOutcome;
  readonly faults: readonly Fault[];
}

/** What every worker thread is started with. */
export const workerSettingsSchema = z.object({
  limits: z.object({ maxPixels: z.number(), maxSide: z.number(), maxDecodedMb: z.number() }),
  /** URL of a module whose exports replace operations by name. */
  operationsModule: z.string().optional(),
  /** One Int32 that all threads share: how far the process-wide set-up of libvips has come. */
  setUp: z.instanceof(SharedArrayBuffer),
});
export type WorkerSettings = z.infer<typeof workerSettingsSchema>;
