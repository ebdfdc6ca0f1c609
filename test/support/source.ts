import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/** A server to fetch pictures from. The test chooses every byte of its answers. */
export interface Source {
  /** Such as `http://127.0.0.1:<port>`, with the host it was opened on. */
  readonly origin: string;
  readonly port: number;
  /** Heads of the requests so far. */
  readonly requests: readonly string[];
  /** Connections open now. */
  readonly open: ReadonlySet<Socket>;
  /** Resolves when no connection is open. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a source on a free port; `answer` gets each request's path and the socket to write the answer to. */
export async function openSource(answer: (path: string, socket: Socket) => void, host = '127.0.0.1'): Promise<Source> {
  const requests: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    let head = '';
    // A client that disconnects resets the connection during a write.
    socket.on('error', () => {}).once('close', () => open.delete(socket));
    socket.setEncoding('latin1').on('data', (text: string) => {
      head += text;
      if (!head.includes('\r\n\r\n')) return;
      requests.push(head);
      const path = head.split(' ')[1] ?? '';
      head = '';
      answer(path, socket);
    });
  });
  const port = await listen(server, host);
  return {
    origin: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    requests,
    open,
    quiet: async () => {
      for (const socket of open) await once(socket, 'close');
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A whole answer; the connection ends with it. */
export function whole(status: string, headers: Readonly<Record<string, string | number>>, body = ''): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${body}`;
}

async function listen(server: Server, host: string): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error(`Expected a TCP address, received ${address}`);
  return address.port;
}
