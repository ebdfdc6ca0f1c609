import { WebSocket } from 'ws';
import { SYSTEM_CLOCK } from '../../shared/clock.ts';
import { DarkroomError } from '../../shared/errors.ts';
import { Watchdog } from '../../shared/watchdog.ts';
import { Backoff } from '../http/retry.ts';
import { type CameraSettings, relayAddress } from './config.ts';

/** Milliseconds to open a connection. */
const HANDSHAKE_MS = 10_000;
/** Milliseconds between two pings. The connection is closed if a ping is unanswered when the next is due. */
const PING_MS = 30_000;
/** Milliseconds that the relay may take to answer a close frame. */
const CLOSING_MS = 2_000;
/** The most bytes of one text: twice the limit of Darkroom's own relay. */
const MAX_MESSAGE_BYTES = 128 * 1024;

/** Close codes of a connection that ended without a problem (RFC 6455, section 7.4.1). */
const ORDERLY_CODES: ReadonlySet<number> = new Set([1000, 1005]);
/** ws's code for a connection that ended without a close frame, as the relay ends all when it stops. */
const NO_CLOSE_FRAME = 1006;
/** The reason when the relay ends a connection. */
const CLOSED_BY_RELAY = 'the relay closed the connection';

/** Called for what happens on connections to the relay. */
export interface RelayHandlers {
  /** A connection is open, the first one or a later one. */
  readonly onOpen: (send: (text: string) => void) => void;
  /** A text came, as the relay sent it, with `Message: ` before it. */
  readonly onText: (text: string) => void;
  /** The connection was lost or could not be opened; another attempt follows. */
  readonly onLost: (reason: string) => void;
}

/** Stays connected to the relay until the signal aborts; waits with back-off after each lost connection. */
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
    handlers.onLost(failure ?? CLOSED_BY_RELAY);
    // It rejects only when the signal aborts, and the loop checks that.
    await backoff.wait(0, signal).catch(() => undefined);
  }
}

/** Sends one text and closes the connection. Throws BACKEND_UNAVAILABLE when no relay accepts the text. */
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
  const reason = failure ?? CLOSED_BY_RELAY;
  throw new DarkroomError('BACKEND_UNAVAILABLE', `The relay at ${relayAddress(settings)} is not available: ${reason}`);
}

/** Runs one connection until it is closed; resolves with the reason, or null. The signal's abort closes it. */
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
    heartbeat.feed();
  };
  let cut: NodeJS.Timeout | undefined;
  const stop = () => {
    socket.close();
    cut = setTimeout(() => socket.terminate(), CLOSING_MS);
  };
  const heartbeat = new Watchdog(SYSTEM_CLOCK, PING_MS, beat);
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
  const [code, reason] = await new Promise<[number, Buffer]>((resolve) => {
    socket.once('close', (...end) => resolve(end));
  });
  heartbeat.stop();
  clearTimeout(cut);
  signal.removeEventListener('abort', stop);
  if (failure !== null || ORDERLY_CODES.has(code)) return failure;
  return code === NO_CLOSE_FRAME ? CLOSED_BY_RELAY : `${code} ${reason}`.trim();
}
