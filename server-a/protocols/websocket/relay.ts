import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { DarkroomError, shuttingDown } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import type { ServerASettings } from '../../config.ts';
import { listenOn } from '../listen.ts';
import { problemHeaders, refuseSocket, toProblem } from '../problem.ts';
import type { Protocol } from '../protocol.ts';
import { asksForWebSocket, type Handshake, openHandshake } from './handshake.ts';
import { Peer } from './peer.ts';

/** The most bytes of a text. */
const MAX_MESSAGE_BYTES = 64 * 1024;
/** High-water mark of a client's unread texts, in bytes: sixteen of the longest. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/**
 * Milliseconds of silence before a TCP keep-alive probe (RFC 9293, section 3.8.4), and between two pings. The pings
 * keep proxies from closing a silent connection. They need no answer, because a client that only sends, or rarely
 * reads, does not answer.
 */
const KEEP_ALIVE_MS = 30_000;
/** Milliseconds for a request's head. */
const HEADERS_MS = 20_000;

export interface RelayOptions {
  readonly settings: Pick<ServerASettings, 'apiKeys'>;
  readonly log: Logger;
  readonly keepAliveMs?: number;
}

export interface ListeningRelayOptions extends RelayOptions {
  readonly settings: Pick<ServerASettings, 'ip' | 'websocketPort' | 'apiKeys' | 'maxConnections'>;
}

/**
 * A {@link Relay} on its own port, for WebSockets on any path. Throws the system's error, with code and port, when the
 * address is not available.
 */
export async function startRelay(options: ListeningRelayOptions): Promise<Protocol> {
  const { ip: ips, websocketPort, maxConnections } = options.settings;
  const relay = new Relay(options);
  const server = createServer({ headersTimeout: HEADERS_MS });
  server.on('request', refuseRequest);
  server.on('upgrade', (request, socket, head) => relay.admit(request, socket, head));
  const listening = await listenOn(server, {
    ips,
    ports: [websocketPort],
    maxConnections,
    socketOptions: { allowHalfOpen: true, noDelay: true },
    log: options.log,
  });
  return {
    lines: listening.addresses.map((address) => `WebSocket ${address}`),
    close: async (graceMs) => {
      const closed = listening.close();
      await relay.close(graceMs);
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Sends each client's text to all other clients as `Message: <text>`, and nothing to its sender. */
export class Relay {
  readonly #handshake: Handshake;
  readonly #keepAliveMs: number;
  readonly #log: Logger;
  readonly #peers = new Set<Peer>();
  #isClosing = false;

  constructor({ settings, log, keepAliveMs = KEEP_ALIVE_MS }: RelayOptions) {
    this.#handshake = openHandshake({ apiKeys: settings.apiKeys, maxMessageBytes: MAX_MESSAGE_BYTES });
    this.#keepAliveMs = keepAliveMs;
    this.#log = log;
  }

  /** Accepts or refuses a connection that asks for an upgrade. */
  admit(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#isClosing) refuseSocket(socket, shuttingDown());
    else if (!asksForWebSocket(request)) refuseSocket(socket, upgradeRequired(`'${request.headers.upgrade}'`));
    else {
      request.socket.setKeepAlive(true, this.#keepAliveMs);
      this.#handshake(request, socket, head, (opened) => this.#add(opened));
    }
  }

  /**
   * Disconnects all clients, without a close frame: existing clients take one for an empty text, and a camera takes a
   * picture then. Waits at most `graceMs` milliseconds for texts that are being sent.
   */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#peers].map((peer) => peer.disconnect(graceMs)));
  }

  #add(socket: WebSocket): void {
    const peer = new Peer(socket, {
      maxBufferedBytes: MAX_BUFFERED_BYTES,
      pingMs: this.#keepAliveMs,
      requirePong: false,
      onText: (text) => this.#relay(peer, text),
      onClose: () => {
        this.#peers.delete(peer);
        this.#log.debug({ clients: this.#peers.size }, 'a relay client disconnected');
      },
    });
    this.#peers.add(peer);
    this.#log.debug({ clients: this.#peers.size }, 'a relay client connected');
  }

  #relay(sender: Peer, text: string): void {
    for (const peer of this.#peers) {
      if (peer !== sender) peer.send(`Message: ${text}`);
    }
  }
}

function refuseRequest(_request: IncomingMessage, response: ServerResponse): void {
  const problem = toProblem(upgradeRequired('an ordinary request'));
  response.writeHead(problem.status, { ...problemHeaders(problem), Connection: 'close, upgrade' });
  response.end(JSON.stringify(problem));
}

function upgradeRequired(received: string): DarkroomError {
  return new DarkroomError('UPGRADE_REQUIRED', `Expected a WebSocket handshake on this port, received ${received}`);
}
