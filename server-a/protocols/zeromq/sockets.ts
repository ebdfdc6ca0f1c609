import { isIPv6 } from 'node:net';
import { Router, type Socket, XPublisher } from 'zeromq';
import { MEBIBYTE } from '../../../shared/limits.ts';
import type { ServerASettings } from '../../config.ts';

/** Connections in the system's accept queue. */
const BACKLOG = 512;
/** Milliseconds that a closed socket may still send its queued messages. */
const LINGER_MS = 5000;
/** Milliseconds for a connection's ZMTP handshake. */
const HANDSHAKE_MS = 10_000;
/** TCP keep-alive: seconds of silence before the first probe, seconds between two, and probes without an answer. */
const KEEPALIVE = { tcpKeepalive: 1, tcpKeepaliveIdle: 60, tcpKeepaliveInterval: 10, tcpKeepaliveCount: 6 } as const;
/** High-water mark for the requests and the answers of one connection; a REQ client has one request at a time. */
const HIGH_WATER_MARK = 8;
/** Bytes of a request in addition to its picture; room for a list of URLs, too. */
const REQUEST_BYTES = 16 * MEBIBYTE;
/** Bytes of a subscription message. */
const SUBSCRIPTION_BYTES = 1024;

export type SocketSettings = Pick<
  ServerASettings,
  'ip' | 'zeromqPort' | 'zeromqPubPort' | 'maxUploadMb' | 'maxListed' | 'maxQueued'
>;

/** The most bytes of a request: a picture in base64, or a list of URLs. ZeroMQ closes a connection that sends more. */
export function maxRequestBytes({ maxUploadMb }: Pick<SocketSettings, 'maxUploadMb'>): number {
  return Math.ceil((maxUploadMb * MEBIBYTE) / 3) * 4 + REQUEST_BYTES;
}

/**
 * The socket for requests: a ROUTER. To a REQ client it looks like a REP socket, but a failed request does not block it
 * for other clients. Throws the system's error, with code and port, when it cannot listen.
 */
export async function bindRouter(settings: SocketSettings): Promise<Router> {
  const router = new Router({
    ...commonOptions(settings),
    maxMessageSize: maxRequestBytes(settings),
    receiveHighWaterMark: HIGH_WATER_MARK,
    sendHighWaterMark: HIGH_WATER_MARK,
    // `send` rejects at once (EAGAIN, EHOSTUNREACH) instead of dropping an answer silently.
    mandatory: true,
    sendTimeout: 0,
  });
  await bind(router, settings.ip, settings.zeromqPort);
  return router;
}

/**
 * The socket that publishes results. Its high-water mark is the number of URLs that the server can have accepted, so
 * that a slow subscriber loses none of them. Throws like {@link bindRouter}.
 */
export async function bindPublisher(settings: SocketSettings): Promise<XPublisher> {
  const publisher = new XPublisher({
    ...commonOptions(settings),
    maxMessageSize: SUBSCRIPTION_BYTES,
    sendHighWaterMark: settings.maxListed + settings.maxQueued,
    // Without this the socket reports only the first of several equal subscriptions.
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
