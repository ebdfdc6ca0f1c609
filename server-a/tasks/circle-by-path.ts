import { createReadStream } from 'node:fs';
import { basename, dirname, join, parse } from 'node:path';
import { DarkroomError, type ErrorCode, invalid } from '../../shared/errors.ts';
import { MAX_SIDE } from '../../shared/operations/bounds.ts';
import { side } from '../../shared/operations/parameters.ts';
import { hasEnded, type Task } from '../../shared/task.ts';
import { type OpenedFile, openBelow, writeBelow } from '../rooted-path/path.ts';
import type { Result } from './result.ts';
import type { ReceivedPicture, Tasks } from './tasks.ts';

/** Pixels a side, where the request names none. */
const DEFAULT_SIZE = 256;
/** What says that a file is no picture: without bytes, of another kind, or damaged. */
const NO_PICTURE: readonly ErrorCode[] = ['BAD_REQUEST', 'UNSUPPORTED_IMAGE', 'IMAGE_CORRUPT'];

/** A file on this machine, and the side of the circle in pixels; 0 or less counts as 256. */
export interface CirclePathRequest {
  readonly path: string;
  readonly size: number;
}

/** What a client is answered (docs/grpc.md). */
export interface CirclePathAnswer {
  readonly status: boolean;
  readonly path: string;
  readonly size: number;
}

/**
 * Cuts a circle out of a file below `pathRoot` and writes it beside that as `<stem>_processed.png`; answers that path
 * and the size. Where nothing is there, `status` is false and `path` empty; where it is no picture, the path asked for.
 * Throws PATH_NOT_ALLOWED, BAD_REQUEST for a size beyond 16384, and what the task API and the task fail with. When the
 * signal aborts, the task is canceled. Nothing is kept of a task that has ended.
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
  if (!side.safeParse(size).success) {
    await file.handle.close();
    throw invalid(`at most ${MAX_SIDE} pixels`, 'size', asked);
  }
  const target = join(dirname(file.path), `${parse(file.path).name}_processed.png`);
  const written = await receiveFile(tasks, file, signal)
    .then((received) => cutOut(tasks, received, size, signal, (circle) => writeCircle(pathRoot, target, circle)))
    .catch(nullIfNoPicture);
  return written === null ? { status: false, path, size: 0 } : { status: true, path: written, size };
}

/** Takes in the file that was opened and checked, and closes it. */
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

/** What `use` makes of the circle. Throws the task's error, and the signal's reason. */
async function cutOut(
  tasks: Tasks,
  received: ReceivedPicture,
  size: number,
  signal: AbortSignal,
  use: (circle: Result) => Promise<string>,
): Promise<string> {
  const { task_id } = await tasks.submit(received, [{ name: 'circle', operation: 'circle', size, format: 'png' }]);
  const { status, error } = await endOf(tasks, task_id, signal);
  try {
    if (status === 'canceled') signal.throwIfAborted();
    if (error !== null) throw new DarkroomError(error.code, error.message);
    return await use(await tasks.result(task_id, 'circle'));
  } finally {
    await tasks.letGo(task_id);
  }
}

/** The task when it has ended, canceled where the signal aborts before. Throws DRAINING when the service stops first. */
async function endOf(tasks: Tasks, id: string, signal: AbortSignal): Promise<Task> {
  let task = tasks.get(id);
  for await (const change of tasks.watch(id, signal)) task = change;
  if (signal.aborted) task = await tasks.cancel(id);
  if (hasEnded(task.status)) return task;
  throw new DarkroomError('DRAINING', 'Expected a server that stays for the result, received one that is stopping');
}

async function writeCircle(root: string | undefined, target: string, circle: Result): Promise<string> {
  if (circle.kind !== 'picture') throw new DarkroomError('INTERNAL', 'Expected a picture of the circle, received data');
  // A stream of the handle that does not close it would keep it from ever being closed.
  return writeBelow(root, target, async (handle) => {
    for await (const chunk of createReadStream(circle.path)) await handle.appendFile(chunk);
  });
}

function nullIfNoPicture(error: unknown): null {
  if (error instanceof DarkroomError && NO_PICTURE.includes(error.code)) return null;
  throw error;
}
