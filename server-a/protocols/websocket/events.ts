import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { DarkroomError, shuttingDown } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import type { ServerASettings } from '../../config.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { refuseSocket, toProblem } from '../problem.ts';
import { readEventRequest } from './event-messages.ts';
import { asksForWebSocket, type Handshake, openHandshake, pathOf } from './handshake.ts';
import { Peer } from './peer.ts';
import type { Relay } from './relay.ts';
import { Subscriptions } from './subscriptions.ts';

const EVENTS_PATH = '/events';
/** The most bytes of a client's message: the longest list of ids has 7 KiB. */
const MAX_MESSAGE_BYTES = 16 * 1024;
/** High-water mark of a client's unread messages, in bytes: more than one record of each task that it may watch. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
const CLOSING_MS = 1_000;
/**
 * Milliseconds between two pings. They show dead connections, because clients of /events read all the time, unlike the
 * relay's. They also keep proxies from closing a connection that is silent during a long job.
 */
const PING_MS = 30_000;

export interface EventsOptions {
  readonly tasks: Pick<Tasks, 'watch'>;
  readonly settings: Pick<ServerASettings, 'apiKeys'>;
  readonly log: Logger;
  /** Serves the WebSockets on every other path. */
  readonly relay?: Relay | null;
  readonly pingMs?: number;
}

/** The WebSocket clients that watch tasks on the HTTP port. */
export interface Events {
  /** Number of open connections. */
  readonly clients: number;
  /** Closes every connection and its watches. Idempotent. */
  close(): Promise<void>;
}

/**
 * Upgrades `GET /events` of an HTTP server. A client sends `{"subscribe":[ids]}` and `{"unsubscribe":[ids]}`. It
 * receives `{"task":record}` now and at each change, up to the task's end, and `{"error":problem}`. A WebSocket on
 * another path goes to the relay, or is refused with NOT_FOUND; any other upgrade is ignored (RFC 9110, section 7.8).
 */
export function attachEvents(server: Server, options: EventsOptions): Events {
  const { tasks, settings, log, relay, pingMs } = options;
  const handshake = openHandshake({ apiKeys: settings.apiKeys, maxMessageBytes: MAX_MESSAGE_BYTES });
  const clients = new Clients(tasks, log, pingMs ?? PING_MS);
  server.on('upgrade', (request, socket, head) => {
    if (!asksForWebSocket(request)) serveWithoutUpgrade(server, request, socket, head);
    else if (relay && pathOf(request) !== EVENTS_PATH) relay.admit(request, socket, head);
    else upgrade(clients, handshake, request, socket, head);
  });
  return clients;
}

function upgrade(clients: Clients, handshake: Handshake, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const path = pathOf(request);
  if (path !== EVENTS_PATH) {
    const received = `'${path.slice(0, 100)}'`;
    refuseSocket(
      socket,
      new DarkroomError('NOT_FOUND', `Expected ${EVENTS_PATH} for a WebSocket, received ${received}`),
    );
  } else if (clients.isClosing) {
    refuseSocket(socket, shuttingDown());
  } else {
    handshake(request, socket, head, (opened) => clients.add(opened));
  }
}

class Clients implements Events {
  readonly #tasks: Pick<Tasks, 'watch'>;
  readonly #log: Logger;
  readonly #pingMs: number;
  readonly #peers = new Set<Peer>();
  isClosing = false;

  constructor(tasks: Pick<Tasks, 'watch'>, log: Logger, pingMs: number) {
    this.#tasks = tasks;
    this.#log = log;
    this.#pingMs = pingMs;
  }

  get clients(): number {
    return this.#peers.size;
  }

  add(socket: WebSocket): void {
    const send = (message: object) => peer.send(JSON.stringify(message));
    const subscriptions = new Subscriptions(this.#tasks, {
      task: (task) => send({ task }),
      error: (error, id) => {
        if (!(error instanceof DarkroomError))
          this.#log.error({ err: error, task_id: id }, 'a WebSocket client could not watch a task');
        return send({ error: toProblem(error, id) });
      },
    });
    const peer = new Peer(socket, {
      maxBufferedBytes: MAX_BUFFERED_BYTES,
      pingMs: this.#pingMs,
      requirePong: true,
      onText: (text) => {
        try {
          applyRequest(readEventRequest(text), subscriptions);
        } catch (error) {
          void send({ error: toProblem(error) });
        }
      },
      onClose: () => {
        subscriptions.close();
        this.#peers.delete(peer);
      },
    });
    this.#peers.add(peer);
  }

  async close(): Promise<void> {
    this.isClosing = true;
    await Promise.all([...this.#peers].map((peer) => peer.close(CLOSING_MS)));
  }
}

function applyRequest(request: ReturnType<typeof readEventRequest>, subscriptions: Subscriptions): void {
  if ('subscribe' in request) for (const id of request.subscribe) subscriptions.subscribe(id);
  else for (const id of request.unsubscribe) subscriptions.unsubscribe(id);
}

/**
 * Serves a request as if it had not asked for an upgrade, which a server may ignore (RFC 9110, section 7.8). Java's
 * HttpClient and `curl --http2` ask for h2c in their first request. Node detaches its parser from every such request
 * when the server has an `upgrade` listener. So this puts the request's head, without the upgrade, back into the
 * socket, and gives the socket to the server as a new connection.
 */
function serveWithoutUpgrade(server: Server, request: IncomingMessage, socket: Duplex, after: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const [name = '', value = ''] = request.rawHeaders.slice(index, index + 2);
    if (!/^(upgrade|http2-settings)$/i.test(name)) lines.push(`${name}: ${value}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), after]));
  server.emit('connection', socket);
}
