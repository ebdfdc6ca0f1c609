import type { ErrorDescription } from '../../shared/errors.ts';
import type { Timings } from '../../shared/task.ts';
import type { StoredOutput } from '../dispatch/contract.ts';

const NO_OUTPUTS: ErrorDescription = { code: 'INTERNAL', message: 'Server B sent no output.' };

/** How a task ends. */
export interface TaskEnd {
  readonly status: 'completed' | 'failed' | 'canceled';
  readonly outputs: readonly StoredOutput[];
  readonly error: ErrorDescription | null;
  readonly timings: Timings;
  /** What was repaired in the picture. */
  readonly warnings: readonly string[];
}

export const CANCELED: TaskEnd = { status: 'canceled', outputs: [], error: null, timings: {}, warnings: [] };

/** The end of a task that fails without outputs. */
export function failedWith(error: ErrorDescription): TaskEnd {
  return { status: 'failed', outputs: [], error, timings: {}, warnings: [] };
}

/** The end of a task with these outputs: completed, or failed with the first error when every output failed. */
export function endedWith(outputs: readonly StoredOutput[], timings: Timings, warnings: readonly string[]): TaskEnd {
  if (outputs.some(({ header }) => header.kind !== 'failure')) {
    return { status: 'completed', outputs, error: null, timings, warnings };
  }
  const first = outputs[0]?.header;
  return { status: 'failed', outputs, error: first?.kind === 'failure' ? first.error : NO_OUTPUTS, timings, warnings };
}

/** The names of the outputs that have a file. */
export function pictureNames(outputs: readonly StoredOutput[]): string[] {
  return outputs.flatMap(({ header }) => (header.kind === 'picture' ? [header.name] : []));
}

/** The parameters of the statements that end a task at `now`; its outputs expire `keepMs` milliseconds later. */
export function endParameters(id: string, end: TaskEnd, now: number, keepMs: number) {
  const { status, outputs, error, timings, warnings } = end;
  return {
    id,
    status,
    outputs: JSON.stringify(outputs),
    outputs_kept: pictureNames(outputs).length > 0 ? 1 : 0,
    error: error === null ? null : JSON.stringify(error),
    timings: JSON.stringify(timings),
    warnings: JSON.stringify(warnings),
    now,
    expires_at: now + keepMs,
  } as const;
}
