import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/** A web server on a free port of loopback that serves a picture and counts requests. */
export interface PictureServer {
  /** Such as `http://127.0.0.1:43021`. */
  readonly address: string;
  /** Paths of the requests, in order. */
  readonly asked: string[];
  /** The most requests that were open at once. */
  readonly mostAtOnce: number;
  /** Open requests. */
  readonly underWay: number;
  /** Answers the `/held…` requests that are open, and from now on all others at once. */
  release(): void;
  close(): Promise<void>;
}

/**
 * Answers `/hang…` never, `/held…` after `release`, `/missing` with 404, `/moved…` with a redirect to `/a.png`, and
 * everything else at once with the picture.
 */
export async function startPictureServer(picture: Buffer): Promise<PictureServer> {
  const asked: string[] = [];
  let underWay = 0;
  let mostAtOnce = 0;
  let held: ServerResponse[] | null = [];
  const handle: Handle = (request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    underWay += 1;
    mostAtOnce = Math.max(mostAtOnce, underWay);
    response.once('close', () => {
      underWay -= 1;
    });
    if (path.startsWith('/hang')) return;
    if (path === '/missing') response.writeHead(404).end();
    else if (path.startsWith('/moved')) response.writeHead(302, { location: '/a.png' }).end();
    else if (path.startsWith('/held') && held !== null) held.push(response);
    else response.end(picture);
  };
  const server = createServer(handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('Expected a TCP address');
  return {
    address: `http://127.0.0.1:${bound.port}`,
    asked,
    get mostAtOnce() {
      return mostAtOnce;
    },
    get underWay() {
      return underWay;
    },
    release: () => {
      for (const response of held ?? []) response.end(picture);
      held = null;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
