import type { Logger } from '../../../shared/log.ts';
import type { ServerASettings } from '../../config.ts';
import type { Presets } from '../../tasks/presets.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import type { Protocol } from '../protocol.ts';
import { createAnswerer } from './answerer.ts';
import { KeptPictures } from './kept-pictures.ts';
import { Publisher } from './publisher.ts';
import { Requests } from './requests.ts';
import { bindPublisher, bindRouter, maxRequestBytes, type SocketSettings } from './sockets.ts';

/** Requests of the largest size that may be in progress at once. */
const LARGEST_AT_ONCE = 4;

export interface ZeromqOptions {
  readonly tasks: Tasks;
  readonly presets: Presets;
  readonly settings: SocketSettings & Pick<ServerASettings, 'apiKeys'>;
  readonly log: Logger;
}

/**
 * Serves the REP-compatible socket and the PUB socket (docs/zeromq.md). Without a port to publish on, lists are
 * refused. Throws the system's error, with code and port, when it cannot listen; nothing stays open then.
 */
export async function startZeromq({ tasks, presets, settings, log }: ZeromqOptions): Promise<Protocol> {
  const { router, xpub } = await bindSockets(settings);
  const publisher = xpub === null ? null : new Publisher({ tasks, socket: xpub.socket, log });
  const stop = new AbortController();
  const pictures = new KeptPictures({ tasks, presets, signal: stop.signal });
  const requests = new Requests({
    socket: router.socket,
    answer: createAnswerer({ tasks, pictures, publisher, apiKeys: settings.apiKeys }),
    maxBytes: LARGEST_AT_ONCE * maxRequestBytes(settings),
    log,
  });
  const lines = router.endpoints.map((endpoint, index) => {
    const classes = xpub === null ? '' : `, classes on ${xpub.endpoints[index]}`;
    return `ZeroMQ    ${endpoint}${classes}`;
  });
  return {
    lines,
    close: async (graceMs) => {
      const grace = setTimeout(() => stop.abort(), graceMs);
      await requests.drain();
      clearTimeout(grace);
      await requests.close();
      await publisher?.close();
    },
  };
}

async function bindSockets(settings: SocketSettings) {
  const router = await bindRouter(settings);
  try {
    return { router, xpub: settings.zeromqPubPort === 0 ? null : await bindPublisher(settings) };
  } catch (error) {
    router.socket.close();
    throw error;
  }
}
