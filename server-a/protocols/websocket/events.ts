import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { DarkroomError } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import type { ServerASettings } from '../../config.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { refuseSocket, toProblem } from '../problem.ts';
import { readEventRequest } from './event-messages.ts';
import { asksForWebSocket, type Handshake, openHandshake, pathOf } from './handshake.ts';
import { Peer } from './peer.ts';
import { serveWithoutUpgrade } from './plain-request.ts';
import type { Relay } from './relay.ts';
import { Subscriptions } from './subscriptions.ts';

const EVENTS_PATH = '/events';
/** Bytes of one message from a client: a full list of ids is 7 KiB. */
const MAX_MESSAGE_BYTES = 16 * 1024;
/** Bytes that may wait for a client to read them: more than one record of each task it may watch. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
const CLOSING_MS = 1_000;
/**
 * Milliseconds between two pings. Unlike the relay's, these clients have come to read, and answer as they do; a ping also
 * keeps a proxy from taking a long job's silence for the end.
 */
const PING_MS = 30_000;

export interface EventsOptions {
  readonly tasks: Pick<Tasks, 'watch'>;
  readonly settings: Pick<ServerASettings, 'apiKeys'>;
  readonly log: Logger;
  /** Takes the WebSockets on every other path. */
  readonly relay?: Relay | null;
  readonly pingMs?: number;
}

/** Tasks as they change, over a WebSocket on the HTTP port. */
export interface Events {
  /** Connections open now. */
  readonly clients: number;
  /** Ends every connection and its watches. Idempotent. */
  close(): Promise<void>;
}

/**
 * Upgrades `GET /events` of an HTTP server. The client sends `{"subscribe":[ids]}` and `{"unsubscribe":[ids]}`, and is
 * sent `{"task":record}` now and at each change, up to the task's end, and `{"error":problem}`. A WebSocket on another
 * path is the relay's, or refused with NOT_FOUND; any other upgrade is ignored (RFC 9110, section 7.8).
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
    refuseSocket(socket, new DarkroomError('DRAINING', 'The server stops'));
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
    const tell = (message: object) => peer.send(JSON.stringify(message));
    const subscriptions = new Subscriptions(this.#tasks, {
      task: (task) => tell({ task }),
      error: (error, id) => {
        if (!(error instanceof DarkroomError)) this.#log.error({ err: error, task_id: id }, 'watch failed');
        return tell({ error: toProblem(error, id) });
      },
    });
    const peer = new Peer(socket, {
      maxBufferedBytes: MAX_BUFFERED_BYTES,
      pingMs: this.#pingMs,
      mustAnswer: true,
      onText: (text) => {
        try {
          obey(readEventRequest(text), subscriptions);
        } catch (error) {
          void tell({ error: toProblem(error) });
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

function obey(request: ReturnType<typeof readEventRequest>, subscriptions: Subscriptions): void {
  if ('subscribe' in request) for (const id of request.subscribe) subscriptions.subscribe(id);
  else for (const id of request.unsubscribe) subscriptions.unsubscribe(id);
}
