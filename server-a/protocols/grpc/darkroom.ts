import { Readable } from 'node:stream';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { DarkroomError, expectedMessage, invalid, shuttingDown } from '../../../shared/errors.ts';
import { hasEnded } from '../../../shared/task.ts';
import type { Presets } from '../../tasks/presets.ts';
import type { PictureResult } from '../../tasks/result.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import type { CallState, Calls, Send } from './calls.ts';
import { readChunk, readOutputName, readSubmitOptions, readTaskId } from './requests.ts';
import { dataMessage, pictureHeaderMessage, taskMessage } from './translate.ts';

/** Bytes in one chunk of a result: below every client's default limit of 4 MiB, and little memory for many clients. */
const CHUNK_BYTES = 256 * 1024;

export interface ServiceParts {
  readonly tasks: Tasks;
  readonly presets: Presets;
  readonly maxUploadBytes: number;
}

/** `darkroom.v1.Darkroom`: the task API, method by method. */
export function darkroomService(parts: ServiceParts, calls: Calls): UntypedServiceImplementation {
  const { tasks } = parts;
  return {
    Submit: calls.clientStream((requests, state) => submit(parts, requests, state)),
    Get: calls.unary('brief', (request, state) => taskMessage(tasks.get(idOf(request, state)))),
    Watch: calls.serverStream('waits', (request, send, state) =>
      watch(tasks, idOf(request, state), send, state.signal),
    ),
    Result: calls.serverStream('brief', (request, send, state) =>
      sendResult(tasks, idOf(request, state), readOutputName(request), send),
    ),
    Cancel: calls.unary('brief', async (request, state) => taskMessage(await tasks.cancel(idOf(request, state)))),
  };
}

/** The request's task id. It is added to the call's log line. */
function idOf(request: unknown, state: CallState): string {
  const id = readTaskId(request);
  state.taskId = id;
  return id;
}

async function submit(
  { tasks, presets, maxUploadBytes }: ServiceParts,
  requests: AsyncIterator<unknown>,
  state: CallState,
): Promise<object> {
  const first = await requests.next();
  if (first.done) throw invalid('options', 'the first message', undefined);
  const { filename, bytes, specs } = readSubmitOptions(first.value, presets);
  checkDeclared(bytes, maxUploadBytes);
  tasks.checkRoom(bytes);
  const body = Readable.from(chunksOf(requests), { objectMode: false });
  try {
    const received = await tasks.receive(body, { filename, bytes, signal: state.signal });
    if (bytes !== null && received.bytes !== bytes) {
      await tasks.discard(received);
      throw invalid(`${bytes} bytes, as declared,`, 'the picture', received.bytes);
    }
    const task = await tasks.submit(received, specs);
    state.taskId = task.task_id;
    return taskMessage(task);
  } finally {
    body.destroy();
  }
}

function checkDeclared(bytes: number | null, maxBytes: number): void {
  if (bytes === null || bytes <= maxBytes) return;
  throw new DarkroomError('PAYLOAD_TOO_LARGE', expectedMessage(`at most ${maxBytes} bytes`, 'the picture', bytes));
}

async function* chunksOf(requests: AsyncIterator<unknown>): AsyncGenerator<Uint8Array> {
  for (let next = await requests.next(); !next.done; next = await requests.next()) yield readChunk(next.value);
}

/** Sends the task at each change, up to its end. Throws DRAINING when the server closes first. */
async function watch(tasks: Tasks, id: string, send: Send, signal: AbortSignal): Promise<void> {
  for await (const task of tasks.watch(id, signal)) {
    await send(taskMessage(task));
    if (hasEnded(task.status)) return;
  }
  signal.throwIfAborted();
  throw shuttingDown();
}

async function sendResult(tasks: Tasks, id: string, name: string | undefined, send: Send): Promise<void> {
  const result = await tasks.result(id, name);
  if (result.kind === 'picture') await sendPicture(result, send);
  else await send(dataMessage(result.output));
}

async function sendPicture(result: PictureResult, send: Send): Promise<void> {
  const chunks = await result.picture.stream(CHUNK_BYTES);
  try {
    await send(pictureHeaderMessage(result));
    for await (const chunk of chunks) await send({ chunk });
  } finally {
    // This also closes the file, even if the client disconnects before the first message.
    chunks.destroy();
  }
}
