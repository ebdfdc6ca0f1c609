import { isIPv6 } from 'node:net';
import { Router, type Socket, XPublisher } from 'zeromq';
import { hostAndPort } from '../../../shared/addresses.ts';
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

/** A socket that listens on every address. */
export interface Bound<Kind extends Socket> {
  readonly socket: Kind;
  /** Such as `tcp://127.0.0.1:5555`, one for each address. */
  readonly endpoints: readonly string[];
}

/** The most bytes of a request: a picture in base64, or a list of URLs. ZeroMQ closes a connection that sends more. */
export function maxRequestBytes({ maxUploadMb }: Pick<SocketSettings, 'maxUploadMb'>): number {
  return Math.ceil((maxUploadMb * MEBIBYTE) / 3) * 4 + REQUEST_BYTES;
}

/**
 * The socket for requests: a ROUTER. To a REQ client it looks like a REP socket, but a failed request does not block it
 * for other clients. Throws the system's error, with code and port, when it cannot listen.
 */
export async function bindRouter(settings: SocketSettings): Promise<Bound<Router>> {
  const router = new Router({
    ...commonOptions(settings),
    maxMessageSize: maxRequestBytes(settings),
    receiveHighWaterMark: HIGH_WATER_MARK,
    sendHighWaterMark: HIGH_WATER_MARK,
    // `send` rejects at once (EAGAIN, EHOSTUNREACH) instead of dropping an answer silently.
    mandatory: true,
    sendTimeout: 0,
  });
  return bind(router, settings.ip, settings.zeromqPort);
}

/**
 * The socket that publishes results. Its high-water mark is the number of URLs that the server can have accepted, so
 * that a slow subscriber loses none of them. Throws like {@link bindRouter}.
 */
export async function bindPublisher(settings: SocketSettings): Promise<Bound<XPublisher>> {
  const publisher = new XPublisher({
    ...commonOptions(settings),
    maxMessageSize: SUBSCRIPTION_BYTES,
    sendHighWaterMark: settings.maxListed + settings.maxQueued,
    // Without this the socket reports only the first of several equal subscriptions.
    verbosity: 'allSubs',
  });
  return bind(publisher, settings.ip, settings.zeromqPubPort);
}

function commonOptions({ ip }: SocketSettings) {
  const ipv6 = ip.some((one) => isIPv6(one));
  return { ipv6, backlog: BACKLOG, linger: LINGER_MS, handshakeInterval: HANDSHAKE_MS, ...KEEPALIVE };
}

async function bind<Kind extends Socket>(socket: Kind, ips: readonly string[], port: number): Promise<Bound<Kind>> {
  try {
    const endpoints = ips.map((ip) => `tcp://${hostAndPort(ip, port)}`);
    for (const endpoint of endpoints) await socket.bind(endpoint);
    return { socket, endpoints };
  } catch (error) {
    socket.close();
    throw error instanceof Error ? Object.assign(error, { port }) : error;
  }
}
