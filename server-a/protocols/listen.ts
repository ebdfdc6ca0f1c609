import { once } from 'node:events';
import type { Server } from 'node:net';
import type { Logger } from '../../shared/log.ts';

export interface ListenOptions {
  readonly ip: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly log: Logger;
}

/**
 * Listens, and returns the address in use, such as `127.0.0.1:5454` or `[::1]:5454`. Throws the system's error, with
 * code and port, when the address is not available. Later errors, such as a connection that cannot be accepted, are
 * logged, and the server goes on.
 */
export async function listenOn(server: Server, { ip, port, log }: ListenOptions): Promise<string> {
  server.listen(port, ip);
  await once(server, 'listening');
  server.on('error', (error) => log.error({ err: error }, 'Server A could not accept a connection'));
  return addressOf(server);
}

function addressOf(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError(`Expected a TCP address, received ${bound}`);
  return `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}
