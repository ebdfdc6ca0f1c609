import { Request, type Socket } from 'zeromq';
import { z } from 'zod';
import { DarkroomError, systemCode } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json.ts';
import type { RequestSettings } from './config.ts';

const refusalSchema = z.object({ status: z.literal('error'), message: z.string() });

/**
 * Sends one request and resolves with its answer, parsed by `schema`. Throws SOURCE_ERROR with the server's own message
 * if the server refuses, SOURCE_TIMEOUT if it does not answer, and the signal's reason.
 */
export async function request<Schema extends z.ZodType>(
  settings: RequestSettings,
  members: Readonly<Record<string, unknown>>,
  schema: Schema,
  signal: AbortSignal,
): Promise<z.infer<Schema>> {
  const socket = new Request(socketOptions(settings.zeromq, settings.patience));
  const keyed = settings.apiKey === undefined ? members : { ...members, api_key: settings.apiKey };
  const frame = await untilAborted(socket, signal, async () => {
    socket.connect(settings.zeromq);
    await socket.send(JSON.stringify(keyed));
    const [answer] = await receive(() => socket.receive(), settings.zeromq, settings.patience);
    return answer;
  });
  return readAnswer(frame, schema);
}

/** Options of every client's socket: it waits at most `patience` seconds, and drops unsent messages when it closes. */
export function socketOptions(address: string, patience: number) {
  return { linger: 0, ipv6: address.includes('['), receiveTimeout: Math.round(patience * 1000) };
}

/** Runs `work` and closes its socket after it, or when the signal aborts; rejects then with the signal's reason. */
export async function untilAborted<T>(socket: Socket, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const close = () => socket.close();
  signal.addEventListener('abort', close);
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', close);
    socket.close();
  }
}

/** Waits for the next message. Throws SOURCE_TIMEOUT when there is none for `patience` seconds. */
export async function receive<T>(next: () => Promise<T>, address: string, patience: number): Promise<T> {
  try {
    return await next();
  } catch (error) {
    if (systemCode(error) !== 'EAGAIN') throw error;
    throw new DarkroomError('SOURCE_TIMEOUT', `${address} sent nothing within ${patience} seconds`, { cause: error });
  }
}

/** One JSON frame, parsed by `schema`. Throws SOURCE_ERROR for a refusal and for any other frame. */
export function readAnswer<Schema extends z.ZodType>(frame: Buffer | undefined, schema: Schema): z.infer<Schema> {
  const json = parseJson(frame?.toString() ?? '');
  const refusal = refusalSchema.safeParse(json);
  if (refusal.success) throw new DarkroomError('SOURCE_ERROR', refusal.data.message);
  const answer = schema.safeParse(json);
  if (answer.success) return answer.data;
  const reason = z.prettifyError(answer.error).replace(/\s+/g, ' ');
  throw new DarkroomError('SOURCE_ERROR', `Expected an answer of Darkroom, received something else: ${reason}`);
}
