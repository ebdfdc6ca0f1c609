import { basename, dirname, join, parse } from 'node:path';
import { DarkroomError, type ErrorCode, shuttingDown } from '../../shared/errors.ts';
import { side } from '../../shared/operations/parameters.ts';
import { hasEnded, type Task } from '../../shared/task.ts';
import { type OpenedFile, openBelow, writeBelow } from '../rooted-path/path.ts';
import type { Result } from './result.ts';
import type { ReceivedPicture, Tasks } from './tasks.ts';

/** Side in pixels when the request has none. */
const DEFAULT_SIZE = 256;
/** Bytes that are written to the circle's file at a time. */
const WRITE_BYTES = 64 * 1024;
/** The errors of a file that is not a picture: it is empty, of another format, or damaged. */
const NOT_A_PICTURE: readonly ErrorCode[] = ['BAD_REQUEST', 'UNSUPPORTED_IMAGE', 'IMAGE_CORRUPT'];

/** A file on this machine, and the side of the circle in pixels; 0 or less counts as 256. */
export interface CirclePathRequest {
  readonly path: string;
  readonly size: number;
}

/** The answer to the client (docs/grpc.md). */
export interface CirclePathAnswer {
  readonly status: boolean;
  readonly path: string;
  readonly size: number;
}

/**
 * Cuts a circle out of a file below `pathRoot` and writes it to the same folder as `<stem>_processed.png`. Resolves
 * with the path of that file and the size. `status` is false for a missing file, with an empty `path`. It is false, with
 * the requested path, for a file that is not a picture, a folder, an empty path, and a size that cannot be made. Throws
 * PATH_NOT_ALLOWED, and the errors of the task API and of the task. If the signal aborts, the task is canceled. The task
 * is forgotten when it has ended.
 */
export async function circlePath(
  tasks: Tasks,
  pathRoot: string | undefined,
  { path, size: asked }: CirclePathRequest,
  signal: AbortSignal,
): Promise<CirclePathAnswer> {
  const size = asked <= 0 ? DEFAULT_SIZE : asked;
  const file = await openBelow(pathRoot, path);
  if (file === null) return { status: false, path: '', size: 0 };
  const notMade = { status: false, path, size: 0 };
  if (file === 'no-file') return notMade;
  if (!side.safeParse(size).success) {
    await file.handle.close();
    return notMade;
  }
  const target = join(dirname(file.path), `${parse(file.path).name}_processed.png`);
  const written = await receiveFile(tasks, file, signal)
    .then((received) => cutOut(tasks, received, size, signal, (circle) => writeCircle(pathRoot, target, circle)))
    .catch(nullIfNotAPicture);
  return written === null ? notMade : { status: true, path: written, size };
}

/** Receives the file, then closes it. */
async function receiveFile(tasks: Tasks, { handle, path }: OpenedFile, signal: AbortSignal): Promise<ReceivedPicture> {
  const source = handle.createReadStream({ autoClose: false });
  try {
    const { size: bytes } = await handle.stat();
    return await tasks.receive(source, { filename: basename(path), bytes, signal });
  } finally {
    source.destroy();
    await handle.close();
  }
}

/** Runs a circle task and returns what `use` returns for the circle. Throws the task's error or the signal's reason. */
async function cutOut(
  tasks: Tasks,
  received: ReceivedPicture,
  size: number,
  signal: AbortSignal,
  use: (circle: Result) => Promise<string>,
): Promise<string | null> {
  const task = await submitCircle(tasks, received, size);
  if (task === null) return null;
  const { task_id } = task;
  const { status, error } = await endOf(tasks, task_id, signal);
  try {
    if (status === 'canceled') signal.throwIfAborted();
    if (error?.code === 'IMAGE_TOO_LARGE') return null;
    if (error !== null) throw new DarkroomError(error.code, error.message);
    return await use(await tasks.result(task_id, 'circle'));
  } finally {
    await tasks.tryForget(task_id);
  }
}

/** Submits the task; null when the limits do not allow a circle of this size. */
async function submitCircle(tasks: Tasks, received: ReceivedPicture, size: number): Promise<Task | null> {
  try {
    return await tasks.submit(received, [{ name: 'circle', operation: 'circle', size, format: 'png' }]);
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'IMAGE_TOO_LARGE') return null;
    throw error;
  }
}

/** Waits for the task's end; cancels the task when the signal aborts. Throws DRAINING when the service stops first. */
async function endOf(tasks: Tasks, id: string, signal: AbortSignal): Promise<Task> {
  let task = tasks.get(id);
  for await (const change of tasks.watch(id, signal)) task = change;
  if (signal.aborted) task = await tasks.cancel(id);
  if (hasEnded(task.status)) return task;
  throw shuttingDown();
}

async function writeCircle(root: string | undefined, target: string, circle: Result): Promise<string> {
  if (circle.kind !== 'picture') throw new DarkroomError('INTERNAL', 'The circle output is not a picture.');
  return writeBelow(root, target, async (handle) => {
    for await (const chunk of await circle.picture.stream(WRITE_BYTES)) await handle.appendFile(chunk);
  });
}

function nullIfNotAPicture(error: unknown): null {
  if (error instanceof DarkroomError && NOT_A_PICTURE.includes(error.code)) return null;
  throw error;
}
