import { z } from 'zod';
import { DarkroomError, type ErrorCode, type ErrorDescription } from '../shared/errors.ts';
import type { ImageHeader } from '../shared/image-header.ts';
import type { Format } from '../shared/operations/format.ts';
import type { OutputSpec } from '../shared/operations/index.ts';
import type { OutputHeader, Timings } from '../shared/task.ts';
import type { ModelFiles } from './model/find.ts';

/** The result of one operation: an encoded picture with its facts, or data. */
export type Product =
  | {
      readonly kind: 'picture';
      readonly format: Format;
      readonly width: number;
      readonly height: number;
      readonly frames: number;
      /** In a separate ArrayBuffer, so that it can move to another thread. */
      readonly picture: Uint8Array<ArrayBuffer>;
    }
  | { readonly kind: 'data'; readonly data: Readonly<Record<string, unknown>> };

/** An output as it is sent on the socket: its header, and the encoded picture where there is one. */
export interface JobOutput {
  readonly header: OutputHeader;
  readonly picture: Uint8Array<ArrayBuffer> | null;
}

/** How a job ended. Outputs fail independently, so a job is `done` even when some of its outputs are failures. */
export type JobOutcome =
  | {
      readonly kind: 'done';
      readonly outputs: JobOutput[];
      readonly timings: Timings;
      /** What had to be repaired in the picture, a sentence each. */
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'failed'; readonly error: ErrorDescription };

/** The TIMEOUT of a job whose deadline, in milliseconds, has passed. */
export function timedOut(deadlineMs: number): DarkroomError {
  return new DarkroomError('TIMEOUT', `The picture was not finished within ${deadlineMs} ms.`);
}

/** The message from the pool to a worker thread. The body is transferred, not copied. */
export interface WorkerJob {
  readonly outputs: readonly OutputSpec[];
  readonly image: ImageHeader;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Milliseconds from the moment the worker takes the job. */
  readonly deadlineMs: number;
  readonly model: ModelFiles | null;
}

/** Why a step failed, for the log; clients never see it. */
export interface Fault {
  /** `decode`, or the name of an output. */
  readonly step: string;
  readonly code: ErrorCode;
  readonly reason: string;
}

/** The result of a worker thread. Failures are data, too, because a thrown error would lose its class and code. */
export interface WorkerReply {
  readonly outcome: JobOutcome;
  readonly faults: readonly Fault[];
}

/** Bytes of the memory that all worker threads share: the state of libvips' set-up, and a count of its warnings. */
export const SHARED_BYTES = 2 * Int32Array.BYTES_PER_ELEMENT;

/** The settings with which every worker thread starts. */
export const workerSettingsSchema = z.object({
  limits: z.object({
    maxPixels: z.number(),
    maxSide: z.number(),
    maxDecodedMb: z.number(),
    maxFrames: z.number(),
    maxAnimationSeconds: z.number(),
  }),
  /** URL of a module whose exports replace operations by name. */
  operationsModule: z.string().optional(),
  /** {@link SHARED_BYTES} that all threads share. */
  setUp: z.instanceof(SharedArrayBuffer),
});
export type WorkerSettings = z.infer<typeof workerSettingsSchema>;
