import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import sharp from 'sharp';
import { cameraSettings } from '../../../bin/camera/config.ts';
import { type CameraFlags, runCamera } from '../../../bin/camera/run-camera.ts';
import type { Protocol } from '../../../server-a/protocols/protocol.ts';
import { startRelay } from '../../../server-a/protocols/websocket/relay.ts';
import { createLogger } from '../../../shared/log.ts';
import { WebSocketClient } from '../../server-a/protocols/websocket/websocket-client.ts';
import { runCommand } from '../../support/command-in-process.ts';
import { type Running, runDarkroom, startDarkroom } from '../../support/command-line.ts';
import { freePort } from '../../support/free-port.ts';
import { keepOutput } from '../../support/own-output.ts';
import { plain } from '../../support/pictures.ts';
import { Written } from '../../support/written.ts';

const log = createLogger('test', 'silent');

/** A request to /snippets, as received. */
interface Put {
  readonly request: string;
  readonly filename: string;
  readonly type: string;
  readonly picture: Buffer;
}

/** A camera in this process. */
interface Camera {
  printed(pattern: RegExp): Promise<unknown>;
  stop(): Promise<void>;
}

describe('darkroom camera and darkroom snap', function () {
  this.timeout(180_000);

  let folder: string;
  let port: number;
  let relay: Protocol | null;
  let snippets: Server;
  let puts: Put[];
  /** Statuses of the next answers to PUT requests; 200 when the list is empty. */
  let refusals: number[];
  let running: Running[];
  let cameras: Camera[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-camera-'));
    port = await freePort();
    relay = await openRelay();
    puts = [];
    refusals = [];
    running = [];
    cameras = [];
    snippets = createServer((request, response) => {
      const type = request.headers['content-type'] ?? '';
      buffer(request)
        .then((body) => new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData())
        .then(async (form) => {
          const file = form.get('image');
          if (!(file instanceof File)) throw new Error('Expected a file');
          const { name: filename, type: partType } = file;
          const picture = Buffer.from(await file.arrayBuffer());
          const status = refusals.shift() ?? 200;
          if (status === 200)
            puts.push({ request: `${request.method} ${request.url}`, filename, type: partType, picture });
          response.writeHead(status, { 'Retry-After': '0' }).end(JSON.stringify({ name: 1, task: null, boxes: [] }));
        })
        .catch((error: Error) => response.destroy(error));
    }).listen(0, '127.0.0.1');
    await once(snippets, 'listening');
  });

  afterEach(async () => {
    for (const { process } of running) process.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    await Promise.all(cameras.map(({ stop }) => stop()));
    await relay?.close(100);
    snippets.close();
    snippets.closeAllConnections();
    await rm(folder, { recursive: true, force: true });
  });

  function openRelay(apiKeys: string[] = []): Promise<Protocol> {
    return startRelay({ settings: { ip: ['127.0.0.1'], websocketPort: port, apiKeys, maxConnections: 100 }, log });
  }

  function environment(): Record<string, string> {
    const address = snippets.address();
    if (address === null || typeof address === 'string') throw new Error('Expected a listening server');
    return { DARKROOM_SERVER: `http://127.0.0.1:${address.port}`, DARKROOM_WEBSOCKET: `127.0.0.1:${port}` };
  }

  /** Starts a camera in this process; `flags` have absolute paths. */
  function start(flags: Partial<CameraFlags>): Camera {
    const { DARKROOM_SERVER: server, DARKROOM_WEBSOCKET: websocket } = environment();
    const settings = cameraSettings.parse({ server, websocket });
    const stop = new AbortController();
    const written = new Written();
    const ended = keepOutput(written, () => runCamera({ output: folder, ...flags }, settings, stop.signal));
    const camera = {
      printed: (pattern: RegExp) => written.printed(pattern, ended),
      stop: () => {
        stop.abort();
        return ended;
      },
    };
    cameras.push(camera);
    return camera;
  }

  function startProcess(words: readonly string[], more: Record<string, string> = {}): Running {
    const camera = startDarkroom(['camera', ...words], { folder, environment: { ...environment(), ...more } });
    running.push(camera);
    return camera;
  }

  function snap(...words: string[]) {
    return runCommand(['snap', ...words], { folder, environment: environment() });
  }

  /** The path of a file in the folder. */
  function path(name: string): string {
    return join(folder, name);
  }

  /** Sends the same text as `darkroom snap`. */
  async function press(): Promise<void> {
    const operator = await WebSocketClient.open(`ws://127.0.0.1:${port}/`);
    operator.send('snap');
    await operator.close();
  }

  it('sends "Ready for capture", and on snap takes a frame, saves it and sends it to /snippets/1/', async () => {
    const picture = await plain(20, 10, '#336699');
    await writeFile(join(folder, 'cat.png'), picture);
    const operator = await WebSocketClient.open(`ws://127.0.0.1:${port}/`);
    const camera = startProcess(['--source', 'cat.png']);
    expect(await operator.next()).to.equal('Message: Ready for capture');
    operator.send('something else');
    operator.send('snap');
    await camera.printed(/^snap {2}opencv_frame_0\.png {2}/m);
    expect(await readFile(join(folder, 'opencv_frame_0.png'))).to.deep.equal(picture);
    expect(puts).to.deep.equal([
      { request: 'PUT /snippets/1/', filename: 'opencv_frame_0.png', type: 'image/png', picture },
    ]);
    expect(await readdir(folder)).to.have.members(['cat.png', 'opencv_frame_0.png']);
    expect(await operator.rest()).to.deep.equal([]);
  });

  it('snap tells every camera to take a picture, snap --stop sends stop', async () => {
    await writeFile(join(folder, 'cat.png'), await plain(20, 10, '#336699'));
    const [one, two] = [start({ source: path('cat.png') }), start({ source: path('cat.png'), json: true })];
    await Promise.all([one.printed(/^ready /m), two.printed(/"event":"ready"/)]);
    const snapped = await runDarkroom(['snap'], { folder, environment: environment() });
    expect(snapped).to.deep.equal({ code: 0, stdout: `snap  ws://127.0.0.1:${port}\n`, stderr: '' });
    await Promise.all([one.printed(/^snap /m), two.printed(/"event":"snap"/)]);
    expect(puts).to.have.length(2);
    expect(JSON.parse((await snap('--stop', '--json')).stdout)).to.deep.equal({
      sent: 'stop',
      relay: `ws://127.0.0.1:${port}`,
    });
    await Promise.all([one.printed(/^stop /m), two.printed(/"event":"stop"/)]);
    expect(puts).to.have.length(2);
  });

  it('snap fails with one line when there is no relay', async () => {
    await relay?.close(0);
    relay = null;
    const { code, stdout, stderr } = await snap();
    expect([code, stdout]).to.deep.equal([1, '']);
    const line = /^darkroom: The relay at ws:\/\/127\.0\.0\.1:\d+ is not available: .*ECONNREFUSED.*\n$/;
    expect(stderr).to.match(line);
  });

  it('ends at SIGTERM with the exit code 0', async () => {
    await writeFile(join(folder, 'cat.png'), await plain(20, 10, '#336699'));
    const camera = startProcess(['--source', 'cat.png']);
    await camera.printed(/^ready /m);
    camera.process.kill('SIGTERM');
    expect(await camera.ended).to.include({ code: 0, stderr: '' });
  });

  it('waits for a relay, and connects again after a restart of the relay', async () => {
    await relay?.close(0);
    await writeFile(join(folder, 'cat.png'), await plain(20, 10, '#336699'));
    const camera = start({ source: path('cat.png'), json: true });
    await camera.printed(/"event":"lost"/);
    relay = await openRelay();
    await camera.printed(/"event":"ready"/);
    await relay.close(0);
    await camera.printed(/"event":"lost".*the relay closed the connection/);
    relay = await openRelay();
    await camera.printed(/"event":"ready"[\s\S]*"event":"ready"/);
    await press();
    await camera.printed(/"event":"snap"/);
  });

  it('sends its key', async () => {
    await relay?.close(0);
    relay = await openRelay(['secret']);
    await writeFile(join(folder, 'cat.png'), await plain(20, 10, '#336699'));
    await startProcess(['--source', 'cat.png'], { DARKROOM_API_KEY: 'secret' }).printed(/^ready /m);
    expect((await snap()).stderr).to.match(/^darkroom: The relay .* is not available: .* 401\n$/);
    expect((await snap('--api-key', 'secret')).code).to.equal(0);
  });

  it('sends a frame again to a server that answers "not now"', async () => {
    refusals = [503, 429];
    await writeFile(join(folder, 'cat.png'), await plain(20, 10, '#336699'));
    const camera = start({ source: path('cat.png') });
    await camera.printed(/^ready /m);
    await press();
    await camera.printed(/^snap /m);
    expect(puts).to.have.length(1);
  });

  it('prints a failure and takes the next frame', async () => {
    await writeFile(join(folder, 'cat.jpg'), 'no picture');
    const camera = start({ source: path('cat.jpg'), json: true });
    await camera.printed(/"event":"ready"/);
    await press();
    await camera.printed(/"event":"failed".*"code":"IMAGE_CORRUPT"/);
    await rm(join(folder, 'cat.jpg'));
    await press();
    await camera.printed(/"event":"failed".*ENOENT/);
    await writeFile(join(folder, 'cat.jpg'), await plain(20, 10, '#336699', 'jpeg'));
    await press();
    await camera.printed(/"event":"snap"/);
  });

  describe('takes frames from', () => {
    it('a picture of any format, as a PNG', async () => {
      await writeFile(join(folder, 'cat.jpg'), await plain(20, 10, '#336699', 'jpeg'));
      const camera = start({ source: path('cat.jpg') });
      await camera.printed(/^ready /m);
      await press();
      await camera.printed(/^snap /m);
      const { format, width, height } = await sharp(puts[0]?.picture).metadata();
      expect({ format, width, height }).to.deep.equal({ format: 'png', width: 20, height: 10 });
    });

    it('a folder, one picture after another', async () => {
      await mkdir(join(folder, 'cats'));
      const pictures = [await plain(1, 1, '#000'), await plain(2, 2, '#000')];
      await writeFile(join(folder, 'cats/a.png'), pictures[0] ?? '');
      await writeFile(join(folder, 'cats/b.png'), pictures[1] ?? '');
      await writeFile(join(folder, 'cats/notes.txt'), 'no picture');
      const camera = start({ source: path('cats') });
      await camera.printed(/^ready /m);
      for (const count of [1, 2, 3]) {
        await press();
        await camera.printed(new RegExp(`(^snap [^]*){${count}}`, 'm'));
      }
      expect(puts.map(({ picture }) => picture)).to.deep.equal([...pictures, pictures[0]]);
    });

    it('a URL', async () => {
      const picture = await plain(20, 10, '#336699');
      let status = 404;
      const web = createServer((_request, response) => response.writeHead(status).end(picture)).listen(0, '127.0.0.1');
      await once(web, 'listening');
      try {
        const camera = start({ source: `http://127.0.0.1:${Object(web.address()).port}/cat.png`, json: true });
        await camera.printed(/"event":"ready"/);
        await press();
        await camera.printed(/"event":"failed".*received status 404/);
        status = 200;
        await press();
        await camera.printed(/"event":"snap"/);
        expect(puts[0]?.picture).to.deep.equal(picture);
      } finally {
        web.close();
        web.closeAllConnections();
      }
    });

    it('a device, by ffmpeg', async () => {
      // Replaces ffmpeg and a camera, which test machines lack. It saves its arguments and prints a PNG.
      await mkdir(join(folder, 'bin'));
      const picture = await plain(20, 10, '#336699');
      await writeFile(join(folder, 'frame.png'), picture);
      await writeFile(
        join(folder, 'bin/ffmpeg'),
        `#!/bin/sh\necho "$@" >"${folder}/arguments"\ncat "${folder}/frame.png"\n`,
      );
      await chmod(join(folder, 'bin/ffmpeg'), 0o755);
      const programs = [join(folder, 'bin'), process.env['PATH']].join(delimiter);
      const camera = startProcess(['--device', '/dev/video7'], { PATH: programs });
      await camera.printed(/^ready /m);
      await press();
      await camera.printed(/^snap /m);
      expect(puts[0]?.picture).to.deep.equal(picture);
      expect(await readFile(join(folder, 'arguments'), 'utf8')).to.match(
        /-f v4l2 -i \/dev\/video7 -frames:v 1 -c:v png -f image2pipe pipe:1\n$/,
      );
    });

    it('no device without ffmpeg, and prints what to do', async () => {
      const camera = startProcess(['--json'], { PATH: join(folder, 'nothing') });
      await camera.printed(/"event":"ready"/);
      await press();
      await camera.printed(
        /\/dev\/video0 gave no frame: ffmpeg is not installed; install it, or name a picture with --source/,
      );
    });

    it('neither a missing path nor two sources at once', async () => {
      for (const [words, reason] of [
        [['--source', 'missing.png'], /^darkroom: Expected a file, folder or URL \(ENOENT\) for --source, received/],
        [['--source', '.', '--device', '/dev/video0'], /^darkroom: Expected no --source beside --device/],
      ] as const) {
        const { code, stderr } = await runCommand(['camera', ...words], { folder, environment: environment() });
        expect(code).to.equal(1);
        expect(stderr).to.match(reason);
      }
    });
  });
});
