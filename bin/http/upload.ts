import { DarkroomError, systemCode } from '../../shared/errors.ts';
import type { Client, TaskAnswer } from './client.ts';
import { type Destination, destinationPath } from './destinations.ts';
import type { Input } from './inputs.ts';

/** The result for one file. */
export interface UploadReport {
  readonly file: string;
  /** The task as last seen; null when there is none. */
  readonly task: TaskAnswer | null;
  /** Files written. */
  readonly saved: readonly string[];
  /** Null when nothing failed. */
  readonly failure: Failure | null;
}

/** Why an upload failed: refused, failed or canceled by the server, or a file that cannot be read or written here. */
export interface Failure {
  readonly error: { readonly code: string; readonly message: string };
  /** True for an error of the task or of an output, which the task's own line shows. */
  readonly isInTask: boolean;
}

/** The options of an upload. */
export interface UploadOptions {
  readonly query: URLSearchParams;
  /** Wait for the end of each task. */
  readonly wait: boolean;
  /** Where the pictures of an input are saved. For an input in this map, the upload waits even without `wait`. */
  readonly destinations: ReadonlyMap<Input, Destination>;
  /** How many uploads run at once. */
  readonly jobs: number;
  readonly signal: AbortSignal;
}

/** Uploads every file, `jobs` at once, and reports each when it is done. Rejects only when the signal aborts. */
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
    return { file, task, saved, failure: failureOf(task, options.query) };
  } catch (error) {
    if (options.signal.aborted) throw error;
    return { file, task, saved, failure: { error: describe(error), isInTask: false } };
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

/** The error of a task, or of its first failed output. A classification may fail when no flag has asked for it. */
function failureOf(task: TaskAnswer, query: URLSearchParams): Failure | null {
  if (task.error !== null) return { error: task.error, isInTask: true };
  if (task.status === 'canceled') {
    return { error: { code: 'CANCELED', message: 'The task was canceled.' }, isInTask: false };
  }
  const failed = task.outputs.find(
    ({ status, operation }) => status === 'failed' && (operation !== 'classify' || query.has('classify')),
  );
  if (failed === undefined) return null;
  if (failed.error !== undefined) return { error: failed.error, isInTask: true };
  return { error: { code: 'INTERNAL', message: `The output ${failed.name} failed without a reason` }, isInTask: false };
}

function describe(error: unknown): Failure['error'] {
  if (error instanceof DarkroomError) return { code: error.code, message: error.message };
  if (error instanceof Error) return { code: systemCode(error) ?? 'INTERNAL', message: error.message };
  throw error;
}
