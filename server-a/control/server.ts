import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { DarkroomError, describeError, invalid } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json.ts';
import type { ControlCommand, ControlContext } from './command.ts';
import { type Answer, END_OF_DATA, frame, MAX_FRAME_BYTES, MAX_REQUEST_BYTES } from './messages.ts';
import { controlSocket, shortSocketPath } from './socket-path.ts';

/** Connections at once. */
const MOST_CONNECTIONS = 16;
/** Milliseconds for the request, which a command of ours sends at once. */
const REQUEST_MS = 10_000;

const requestSchema = z.looseObject({ command: z.string() });

/** The control socket, listening. */
export interface ControlServer {
  /** Stops accepting, aborts running commands, and removes the socket. */
  close(): Promise<void>;
}

/**
 * Listens on the control socket of the data folder, with mode 0600; only its owner can give commands. The caller has the
 * lock of the folder, so a socket that is already there was left by a crash. Throws the system's error.
 */
export async function startControl(
  dataDir: string,
  commands: readonly ControlCommand[],
  context: ControlContext,
): Promise<ControlServer> {
  const { log } = context;
  const file = controlSocket(dataDir);
  await rm(file, { force: true });
  const { path, close } = await shortSocketPath(file);
  const closing = new AbortController();
  const running = new Set<Promise<void>>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const serving = serve(socket, commands, context, closing.signal)
      .catch((error: unknown) => log.warn({ err: error }, 'a connection to the control socket failed'))
      .finally(() => running.delete(serving));
    running.add(serving);
  });
  server.maxConnections = MOST_CONNECTIONS;
  try {
    server.listen(path);
    await once(server, 'listening');
    await chmod(file, 0o600);
  } catch (error) {
    server.close();
    await close();
    throw error;
  }
  server.on('error', (error) => log.error({ err: error }, 'the control socket could not accept a connection'));
  return {
    close: async () => {
      closing.abort(new DarkroomError('DRAINING', 'The server is shutting down.'));
      const closed = once(server, 'close');
      server.close();
      await Promise.all(running);
      await closed;
      await close();
    },
  };
}

/** Reads a request, runs its command and sends the answer. */
async function serve(
  socket: Socket,
  commands: readonly ControlCommand[],
  context: ControlContext,
  closing: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  socket.once('end', () => gone.abort());
  const signal = AbortSignal.any([closing, gone.signal]);
  try {
    await pipeline(Readable.from(answer(socket, commands, context, { closing, signal })), socket);
  } finally {
    socket.destroy();
  }
}

async function* answer(
  socket: Socket,
  commands: readonly ControlCommand[],
  context: ControlContext,
  { closing, signal }: { readonly closing: AbortSignal; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  let end: Answer;
  try {
    const request = await readRequest(socket, closing);
    const command = commands.find(({ name }) => name === request.command);
    const known = commands.map(({ name }) => name).join(', ');
    if (command === undefined) throw invalid(`one of ${known}`, 'the command', request.command);
    end = { result: (yield* inFrames(command.run(request, context, signal))) ?? null };
  } catch (error) {
    if (!(error instanceof DarkroomError)) context.log.error({ err: error }, 'a command of the control socket failed');
    end = { error: describeError(error) };
  }
  yield END_OF_DATA;
  yield* frame(Buffer.from(JSON.stringify(end)));
}

/** The data of a command in frames; returns its result. */
async function* inFrames(output: AsyncGenerator<Uint8Array, unknown>): AsyncGenerator<Buffer, unknown> {
  try {
    let next = await output.next();
    for (; !next.done; next = await output.next()) {
      for (let start = 0; start < next.value.length; start += MAX_FRAME_BYTES) {
        yield* frame(next.value.subarray(start, start + MAX_FRAME_BYTES));
      }
    }
    return next.value;
  } finally {
    // A command that is not at its end, because the client has gone, frees what it has.
    await output.return(undefined);
  }
}

async function readRequest(socket: Socket, signal: AbortSignal): Promise<z.infer<typeof requestSchema>> {
  const line = await readLine(socket, AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]));
  const request = requestSchema.safeParse(parseJson(line));
  if (request.success) {
    // Without reading on, nobody would notice that the client has gone.
    socket.resume();
    return request.data;
  }
  throw invalid('a line of JSON with a command', 'the request', line);
}

/** The first line. Throws BAD_REQUEST when it is too long or incomplete, and the signal's reason. */
async function readLine(socket: Socket, signal: AbortSignal): Promise<string> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf('\n');
    if (end !== -1) return bytes.subarray(0, end).toString();
    if (bytes.length > MAX_REQUEST_BYTES) throw invalid(`at most ${MAX_REQUEST_BYTES} bytes`, 'the request', 'more');
    const chunk: unknown = socket.read();
    if (Buffer.isBuffer(chunk)) bytes = Buffer.concat([bytes, chunk]);
    else if (socket.readableEnded) throw invalid('a whole line', 'the request', bytes.toString());
    else await Promise.race([once(socket, 'readable', { signal }), once(socket, 'end', { signal })]);
  }
}
