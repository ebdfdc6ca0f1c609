import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port of loopback that nothing listened on a moment ago. */
export async function freePort(ip = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, ip);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error(`Expected a TCP address, received ${address}`);
  return address.port;
}
