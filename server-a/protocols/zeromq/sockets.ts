import { isIPv6 } from 'node:net';
import { Router, type Socket, XPublisher } from 'zeromq';
import { MEBIBYTE } from '../../../shared/limits.ts';
import type { ServerASettings } from '../../config.ts';

/** Connections that the system has accepted and nobody has taken yet. */
const BACKLOG = 512;
/** Milliseconds for which messages that are still to be sent may keep a closed socket. */
const LINGER_MS = 5000;
/** Milliseconds in which a connection must have greeted. */
const HANDSHAKE_MS = 10_000;
/** Seconds of silence after which the system looks whether a peer is still there, between two looks, and looks in vain. */
const KEEPALIVE = { tcpKeepalive: 1, tcpKeepaliveIdle: 60, tcpKeepaliveInterval: 10, tcpKeepaliveCount: 6 } as const;
/** Requests, and answers, that wait in the socket for each connection; a REQ client has one under way at most. */
const REQUESTS_WAITING = 8;
/** Bytes of one request, or of one answer's frame, beside its picture; also the least for a list of URLs. */
const REQUEST_BYTES = 16 * MEBIBYTE;
/** Bytes of a subscription. */
const SUBSCRIPTION_BYTES = 1024;

/** What sockets need to know. */
export type SocketSettings = Pick<
  ServerASettings,
  'ip' | 'zeromqPort' | 'zeromqPubPort' | 'maxUploadMb' | 'maxListed' | 'maxQueued'
>;

/** Bytes a request may have: a picture in base64, or a list of URLs. A connection that sends more is closed. */
export function maxRequestBytes({ maxUploadMb }: Pick<SocketSettings, 'maxUploadMb'>): number {
  return Math.ceil((maxUploadMb * MEBIBYTE) / 3) * 4 + REQUEST_BYTES;
}

/**
 * The socket for requests. REQ clients see no difference to a REP socket, but one request does not lock it for the others.
 * Throws the system's error with code and port when it cannot listen.
 */
export async function bindRouter(settings: SocketSettings): Promise<Router> {
  const router = new Router({
    ...commonOptions(settings),
    maxMessageSize: maxRequestBytes(settings),
    receiveHighWaterMark: REQUESTS_WAITING,
    sendHighWaterMark: REQUESTS_WAITING,
    // A connection without room for an answer is told, at once, instead of the answer being dropped.
    mandatory: true,
    sendTimeout: 0,
  });
  await bind(router, settings.ip, settings.zeromqPort);
  return router;
}

/**
 * The socket on which results are published. Every URL that can be waiting at one time may be waiting for one slow subscriber
 * as well before a message is dropped for it. Throws as {@link bindRouter} does.
 */
export async function bindPublisher(settings: SocketSettings): Promise<XPublisher> {
  const publisher = new XPublisher({
    ...commonOptions(settings),
    maxMessageSize: SUBSCRIPTION_BYTES,
    sendHighWaterMark: settings.maxListed + settings.maxQueued,
    // Otherwise it tells only of the first of several equal subscriptions.
    verbosity: 'allSubs',
  });
  await bind(publisher, settings.ip, settings.zeromqPubPort);
  return publisher;
}

function commonOptions({ ip }: SocketSettings) {
  return { ipv6: isIPv6(ip), backlog: BACKLOG, linger: LINGER_MS, handshakeInterval: HANDSHAKE_MS, ...KEEPALIVE };
}

async function bind(socket: Socket, ip: string, port: number): Promise<void> {
  try {
    await socket.bind(`tcp://${isIPv6(ip) ? `[${ip}]` : ip}:${port}`);
  } catch (error) {
    socket.close();
    throw error instanceof Error ? Object.assign(error, { port }) : error;
  }
}
