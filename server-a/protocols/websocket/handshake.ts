import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type DarkroomError, invalid } from '../../../shared/errors.ts';
import { apiKeyCheck, keysInHeaders } from '../api-keys.ts';
import { checkOrigin } from '../origin.ts';
import { refuseSocket } from '../problem.ts';

/** What clients may send. */
export interface HandshakeOptions {
  readonly apiKeys: readonly string[];
  /** Bytes of one message; a longer one ends the connection with 1009 (RFC 6455, section 7.4.1). */
  readonly maxMessageBytes: number;
}

/** Gives `onOpen` a WebSocket at once, or says why not on the connection itself, which then ends. */
export type Handshake = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  onOpen: (opened: WebSocket) => void,
) => void;

/**
 * The opening handshake of RFC 6455, section 4.2. Refused as a problem: UNAUTHENTICATED without one of the keys,
 * ORIGIN_NOT_ALLOWED from a web page of another host, BAD_REQUEST for what is no handshake.
 */
export function openHandshake({ apiKeys, maxMessageBytes }: HandshakeOptions): Handshake {
  const checkApiKey = apiKeyCheck(apiKeys, 'Authorization: Bearer, X-Api-Key or ?key=');
  // Deflate would cost memory for each client and save little on short texts.
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
  });
  server.on('wsClientError', ({ message }, socket) => refuseSocket(socket, notAHandshake(message)));
  return (request, socket, head, onOpen) => {
    try {
      checkOrigin(request.headers);
      checkApiKey([...keysInHeaders(request.headers), ...keysInQuery(request)]);
    } catch (error) {
      refuseSocket(socket, error);
      return;
    }
    server.handleUpgrade(request, socket, head, onOpen);
  };
}

/** The path a request names, without its query. */
export function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '/';
}

/** True for a request that asks to speak WebSocket from now on. */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

function keysInQuery({ url = '' }: IncomingMessage): string[] {
  return new URLSearchParams(url.split('?', 2)[1] ?? '').getAll('key');
}

function notAHandshake(reason: string): DarkroomError {
  return invalid(`a WebSocket handshake (${reason})`, 'the upgrade', undefined);
}
