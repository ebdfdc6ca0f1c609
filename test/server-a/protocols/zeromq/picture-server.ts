import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import sharp from 'sharp';

const COLOURS: Readonly<Record<string, string>> = { red: '#ff0000', green: '#00ff00', blue: '#0000ff' };

/**
 * An HTTP server on loopback: `/red…`, `/green…` and `/blue…` are pictures, `/empty` has no body, `/hang` never
 * answers.
 */
export interface PictureServer {
  /** Such as `http://127.0.0.1:40000`. */
  readonly url: string;
  /** Answers the requests that hang, with no body. */
  answerAll(): void;
  stop(): Promise<void>;
}

export async function startPictureServer(): Promise<PictureServer> {
  const pictures = new Map<string, Buffer>();
  for (const [name, background] of Object.entries(COLOURS)) {
    pictures.set(
      name,
      await sharp({ create: { width: 32, height: 24, channels: 3, background } })
        .png()
        .toBuffer(),
    );
  }
  const hanging = new Set<ServerResponse>();
  let isPatient = true;
  const server = createServer((request, response) => {
    const [, name = ''] = /^\/([a-z]+)/.exec(request.url ?? '') ?? [];
    const picture = pictures.get(name);
    if (name === 'hang' && isPatient) hanging.add(response);
    else if (name === 'hang' || name === 'empty') response.end();
    else response.writeHead(picture === undefined ? 404 : 200).end(picture);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${Object(server.address()).port}`,
    answerAll: () => {
      isPatient = false;
      for (const response of hanging) response.end();
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
