import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections, one of which could take a port before its test does. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const ATTEMPTS = 100;

const given = new Set<number>();

/** A port of loopback that nothing listened on a moment ago, and that this process has not been given before. */
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
