import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type DarkroomError, invalid } from '../../../shared/errors.ts';
import { apiKeyCheck, keysInHeaders } from '../api-keys.ts';
import { checkOrigin } from '../origin.ts';
import { refuseSocket } from '../problem.ts';

export interface HandshakeOptions {
  readonly apiKeys: readonly string[];
  /** The most bytes of a message; a longer one closes the connection with 1009 (RFC 6455, section 7.4.1). */
  readonly maxMessageBytes: number;
}

/** Calls `onOpen` with a WebSocket before it returns, or answers with a problem and closes the connection. */
export type Handshake = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  onOpen: (opened: WebSocket) => void,
) => void;

/**
 * The opening handshake of RFC 6455, section 4.2. Answers with a problem: UNAUTHENTICATED without one of the keys,
 * ORIGIN_NOT_ALLOWED for a web page of another host, BAD_REQUEST for an invalid handshake.
 */
export function openHandshake({ apiKeys, maxMessageBytes }: HandshakeOptions): Handshake {
  const checkApiKey = apiKeyCheck(apiKeys, 'Authorization: Bearer, X-Api-Key or ?key=');
  // Compression would need memory for each client and save little on short texts.
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
  });
  server.on('wsClientError', ({ message }, socket) => refuseSocket(socket, invalidHandshake(message)));
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

/** The path of a request, without its query. */
export function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '/';
}

/** True for a request that asks for an upgrade to WebSocket. */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

function keysInQuery({ url = '' }: IncomingMessage): string[] {
  return new URLSearchParams(url.split('?', 2)[1] ?? '').getAll('key');
}

function invalidHandshake(reason: string): DarkroomError {
  return invalid(`a WebSocket handshake (${reason})`, 'the upgrade', undefined);
}
