import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports of outgoing connections, because such a connection could use a port before the test opens it. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const ATTEMPTS = 100;

const given = new Set<number>();

/** A port of loopback that has no listener now. Each call returns another port. */
export async function freePort(ip = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    if (given.has(port) || !(await isFree(port, ip))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`Expected a free port in ${ATTEMPTS} attempts, found none`);
}

async function isFree(port: number, ip: string): Promise<boolean> {
  const server = createServer().listen(port, ip);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
