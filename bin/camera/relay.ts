import { WebSocket } from 'ws';
import { DarkroomError } from '../../shared/errors.ts';
import { Backoff } from '../http/retry.ts';
import { type CameraSettings, relayAddress } from './config.ts';

/** Milliseconds to open a connection. */
const HANDSHAKE_MS = 10_000;
/** Milliseconds between two pings; a relay that has not answered one by the next is gone. */
const PING_MS = 30_000;
/** Milliseconds the relay may take to answer a goodbye. */
const CLOSING_MS = 2_000;
/** Bytes of one text: twice what Darkroom's own relay takes. */
const MAX_MESSAGE_BYTES = 128 * 1024;

/** What a connection closes with that nothing is wrong with (RFC 6455, section 7.4.1). */
const ORDERLY_CODES: ReadonlySet<number> = new Set([1000, 1005]);

/** What happens on a connection to the relay. */
export interface RelayHandlers {
  /** Connected, also for the second time. */
  readonly onOpen: (send: (text: string) => void) => void;
  /** A text as it came, `Message: ` before it. */
  readonly onText: (text: string) => void;
  /** The connection is lost, or was not to be had; the next attempt follows. */
  readonly onLost: (reason: string) => void;
}

/** Stays connected to the relay until the signal aborts, with growing pauses after each failure. */
export async function stayConnected(
  settings: CameraSettings,
  handlers: RelayHandlers,
  signal: AbortSignal,
): Promise<void> {
  let backoff = new Backoff(Number.POSITIVE_INFINITY);
  const onOpen: RelayHandlers['onOpen'] = (send) => {
    backoff = new Backoff(Number.POSITIVE_INFINITY);
    handlers.onOpen(send);
  };
  while (!signal.aborted) {
    const failure = await converse(settings, { ...handlers, onOpen }, signal);
    if (signal.aborted) return;
    handlers.onLost(failure ?? 'a goodbye');
    // It rejects only when the signal aborts, which the loop sees.
    await backoff.wait(0, signal).catch(() => undefined);
  }
}

/** Sends one text and says goodbye. Throws BACKEND_UNAVAILABLE when there is no relay, or it will not have the text. */
export async function sendOnce(settings: CameraSettings, text: string, signal: AbortSignal): Promise<void> {
  let sent = false;
  const done = new AbortController();
  const onOpen: RelayHandlers['onOpen'] = (send) => {
    send(text);
    sent = true;
    done.abort();
  };
  const handlers = { onOpen, onText: () => undefined, onLost: () => undefined };
  const failure = await converse(settings, handlers, AbortSignal.any([signal, done.signal]));
  signal.throwIfAborted();
  if (sent && failure === null) return;
  const received = failure ?? 'a goodbye';
  throw new DarkroomError('BACKEND_UNAVAILABLE', `Expected a relay at ${relayAddress(settings)}, received ${received}`);
}

/** One connection, from its opening to its end; gives what went wrong, or null. Closed when the signal aborts. */
async function converse(
  settings: CameraSettings,
  handlers: RelayHandlers,
  signal: AbortSignal,
): Promise<string | null> {
  const { apiKey } = settings;
  const socket = new WebSocket(relayAddress(settings), {
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  });
  let failure: string | null = null;
  let isAlive = true;
  const beat = () => {
    if (!isAlive) socket.terminate();
    isAlive = false;
    if (socket.readyState === WebSocket.OPEN) socket.ping();
  };
  let cut: NodeJS.Timeout | undefined;
  const stop = () => {
    socket.close();
    cut = setTimeout(() => socket.terminate(), CLOSING_MS);
  };
  const heartbeat = setInterval(beat, PING_MS);
  signal.addEventListener('abort', stop);
  socket.on('open', () => handlers.onOpen((text) => socket.send(text)));
  socket.on('message', (data) => handlers.onText(String(data)));
  socket.on('pong', () => {
    isAlive = true;
  });
  socket.on('error', ({ message }) => {
    failure = message;
  });
  if (signal.aborted) stop();
  const [code, goodbye] = await new Promise<[number, Buffer]>((resolve) => {
    socket.once('close', (...end) => resolve(end));
  });
  clearInterval(heartbeat);
  clearTimeout(cut);
  signal.removeEventListener('abort', stop);
  return failure ?? (ORDERLY_CODES.has(code) ? null : `${code} ${goodbye}`.trim());
}
