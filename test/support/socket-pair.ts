import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** The two ends of one TCP connection over loopback. */
export interface SocketPair {
  readonly client: Socket;
  readonly server: Socket;
}

/** More than the kernel holds for both ends of a connection over loopback, in bytes. */
export const BEYOND_KERNEL_BYTES = 48 * 1024 * 1024;

/** Opens a connection on a free port; the listener is gone when it resolves. */
export async function openSocketPair(): Promise<SocketPair> {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error(`Expected a TCP address, received ${address}`);
  const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve));
  const client = connect(address.port, '127.0.0.1');
  const [server] = await Promise.all([accepted, once(client, 'connect')]);
  listener.close();
  return { client, server };
}

/** Resolves when the socket is closed. */
export function goneFrom(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Resolves when the kernel accepts no more bytes from a socket: ten checks in a row show no change. */
export async function untilStuck(socket: Socket): Promise<void> {
  let accepted = -1;
  for (let looks = 0; looks < 10; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = socket.bytesWritten - socket.writableLength;
    looks = socket.writableNeedDrain && now === accepted ? looks + 1 : 0;
    accepted = now;
  }
}
