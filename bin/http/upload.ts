import type { ErrorDescription } from '../../shared/errors.ts';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import type { Client, TaskAnswer } from './client.ts';
import { type Destination, destinationPath } from './destinations.ts';
import type { Input } from './inputs.ts';

/** How one file fared. */
export interface UploadReport {
  readonly file: string;
  /** The task as last seen; null when there is none. */
  readonly task: TaskAnswer | null;
  /** Files written. */
  readonly saved: readonly string[];
  /** Why it failed: refused, failed or canceled, unreadable here, not to be written here. */
  readonly error: ErrorDescription | { readonly code: string; readonly message: string } | null;
}

/** How to upload. */
export interface UploadOptions {
  readonly query: URLSearchParams;
  /** Follow each task to its end. */
  readonly wait: boolean;
  /** Where pictures go; empty for those that stay on the server. Having one implies `wait`. */
  readonly destinations: ReadonlyMap<Input, Destination>;
  /** Uploads in hand at once. */
  readonly jobs: number;
  readonly signal: AbortSignal;
}

/** Uploads every file, `jobs` at once, and reports each as it is done. Rejects only when the signal aborts. */
export async function uploadAll(
  client: Client,
  files: readonly Input[],
  options: UploadOptions,
  report: (report: UploadReport) => void,
): Promise<void> {
  const queue = files.values();
  const takeTurns = async (): Promise<void> => {
    for (const input of queue) report(await uploadOne(client, input, options));
  };
  await Promise.all(Array.from({ length: options.jobs }, takeTurns));
}

async function uploadOne(client: Client, input: Input, options: UploadOptions): Promise<UploadReport> {
  const file = input.path;
  const saved: string[] = [];
  let task: TaskAnswer | null = null;
  try {
    task = await client.upload(file, options.query);
    const destination = options.destinations.get(input);
    if (options.wait || destination !== undefined) task = await client.waitForEnd(task.task_id);
    if (destination !== undefined) await save(client, input, destination, task, saved);
    return { file, task, saved, error: failureOf(task, options.query) };
  } catch (error) {
    if (options.signal.aborted) throw error;
    return { file, task, saved, error: describe(error) };
  }
}

async function save(
  client: Client,
  input: Input,
  destination: Destination,
  task: TaskAnswer,
  saved: string[],
): Promise<void> {
  const pictures = task.outputs.filter(
    (output) => output.status === 'completed' && output.url !== undefined && output.format !== undefined,
  );
  for (const [index, output] of pictures.entries()) {
    const target = destinationPath(input, destination, output, index === 0);
    await client.download(task.task_id, output.name, target);
    saved.push(target);
  }
}

/** A task that ended badly, or an output that did; a classification that nobody asked for may fail. */
function failureOf(task: TaskAnswer, query: URLSearchParams): UploadReport['error'] {
  if (task.error !== null) return task.error;
  if (task.status === 'canceled') return { code: 'CANCELED', message: 'The task was canceled' };
  const failed = task.outputs.find(
    ({ status, operation }) => status === 'failed' && (operation !== 'classify' || query.has('classify')),
  );
  return failed === undefined ? null : (failed.error ?? { code: 'INTERNAL', message: `No ${failed.name} output` });
}

function describe(error: unknown): UploadReport['error'] {
  if (error instanceof DarkroomError) return { code: error.code, message: error.message };
  if (error instanceof Error) return { code: systemCode(error) ?? 'INTERNAL', message: error.message };
  throw error;
}
