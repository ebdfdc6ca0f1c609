import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDarkroom } from './command-line.ts';
import { freePort } from './free-port.ts';
import { sharedFolder } from './shared.ts';

/** A real `darkroom serve` with every protocol on a free port of loopback. */
export interface EveryProtocol {
  /** `http://127.0.0.1:…`. */
  readonly http: string;
  /** `ws://127.0.0.1:…`. */
  readonly relay: string;
  /** `tcp://127.0.0.1:…`, for requests and for publications. */
  readonly zeromq: string;
  readonly zeromqPub: string;
  /** `127.0.0.1:…`. */
  readonly grpc: string;
  /** The folder that path requests may use. */
  readonly pathRoot: string;
  stop(): Promise<void>;
}

/** Starts it, with the real classifier if that is available. */
export async function startEveryProtocol(): Promise<EveryProtocol> {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-service-'));
  const pathRoot = join(folder, 'pictures');
  await mkdir(pathRoot);
  const [http, relay, zeromq, zeromqPub, grpc] = await Promise.all([1, 2, 3, 4, 5].map(() => freePort()));
  const shared = sharedFolder();
  const flags = {
    '--port': http,
    '--websocket-port': relay,
    '--zeromq-port': zeromq,
    '--zeromq-pub-port': zeromqPub,
    '--grpc-port': grpc,
    '--data-dir': join(folder, 'data'),
    '--path-root': pathRoot,
    '--threads': 1,
    '--log-level': 'error',
    ...(shared === null ? {} : { '--model': join(shared, 'models/mobilenetv2-12-qdq.onnx') }),
  };
  const words = Object.entries(flags).flatMap(([flag, value]) => [flag, String(value)]);
  const serve = startDarkroom(['serve', '--no-model-fetch', '--allow-private-urls', ...words], { folder });
  const stop = async (): Promise<void> => {
    serve.process.kill('SIGTERM');
    await serve.ended;
    await rm(folder, { recursive: true, force: true });
  };
  await serve.printed(/^curl /m).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    http: `http://127.0.0.1:${http}`,
    relay: `ws://127.0.0.1:${relay}`,
    zeromq: `tcp://127.0.0.1:${zeromq}`,
    zeromqPub: `tcp://127.0.0.1:${zeromqPub}`,
    grpc: `127.0.0.1:${grpc}`,
    pathRoot,
    stop,
  };
}
