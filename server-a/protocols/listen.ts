import { once } from 'node:events';
import type { Server } from 'node:net';
import type { Logger } from '../../shared/log.ts';

/** Where to listen. */
export interface ListenOptions {
  readonly ip: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly log: Logger;
}

/**
 * Listens, and gives the address in use, such as `127.0.0.1:5454` or `[::1]:5454`. Throws the system's error, with its
 * code and port, when the address cannot be had. A connection that cannot be accepted later is logged and ends nothing.
 */
export async function listenOn(server: Server, { ip, port, log }: ListenOptions): Promise<string> {
  server.listen(port, ip);
  await once(server, 'listening');
  server.on('error', (error) => log.error({ err: error }, 'listener'));
  return addressOf(server);
}

function addressOf(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError(`Expected a TCP address, received ${bound}`);
  return `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}
