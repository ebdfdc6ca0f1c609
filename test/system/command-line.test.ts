import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { taskSchema } from '../../shared/task.ts';
import { WebSocketClient } from '../server-a/protocols/websocket/websocket-client.ts';
import { type Running, startDarkroom } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';
import { repositoryPath } from '../support/repository.ts';

const run = promisify(execFile);
/** Turns off the listeners that these tests do not need, because other programs may use their usual ports. */
const LISTENERS_OFF = { ZEROMQ_PORT: '0', ZEROMQ_PUB_PORT: '0', GRPC_PORT: '0', WEBSOCKET_PORT: '0' };
const CURL = /^curl .*$/m;

describe('servers on the command line', function () {
  this.timeout(180_000);
  let dataDir: string;
  let running: Running[];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'darkroom-serve-'));
    running = [];
  });

  afterEach(async () => {
    for (const { process } of running) process.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    await rm(dataDir, { recursive: true, force: true });
  });

  function start(words: readonly string[], folder = repositoryPath('.')): Running {
    const quiet = { LOG_LEVEL: 'silent', MODEL_FETCH: 'false', DATA_DIR: dataDir, THREADS: '1', ...LISTENERS_OFF };
    const environment = Object.fromEntries(
      Object.entries(quiet).flatMap(([name, value]) => [
        [`DARKROOM_${name}`, value],
        [`DARKROOM_B_${name}`, value],
      ]),
    );
    const started = startDarkroom(words, { folder, environment });
    running.push(started);
    return started;
  }

  /** Runs the curl line that a server prints; its task must complete with the right picture. */
  async function expectWorking(line: string, folder: string): Promise<void> {
    const { stdout } = await run('sh', ['-c', line], { cwd: folder });
    const task = taskSchema.parse(JSON.parse(stdout));
    expect(task.status).to.equal('completed');
    expect(task.outputs[0]).to.include({ name: 'resize', format: 'jpeg', width: 320, height: 240 });
  }

  for (const [flags, host, folder, signal] of [
    ['', '127.0.0.1', repositoryPath('.'), 'SIGTERM'],
    ['-i ::1', '[::1]', tmpdir(), 'SIGINT'],
  ] as const) {
    it(`serve ${flags} prints a curl line that works unchanged, even from ${folder}, and ends at ${signal}`, async () => {
      const serve = start(['-p', '0', ...flags.split(' ').filter(Boolean)], folder);
      const [line] = await serve.printed(CURL);
      await expectWorking(line, folder);
      serve.process.kill(signal);
      const { code, stdout, stderr } = await serve.ended;
      expect([code, stderr]).to.deep.equal([0, '']);
      expect(stdout.split('\n')[0]?.replace(/\d+$/, '…')).to.equal(`HTTP      http://${host}:…`);
      expect(stdout).to.match(/^Server B {2}127\.0\.0\.1:\d+ \(child\)$/m);
      expect(stdout).to.match(/^Data {6}\/.*darkroom-serve-/m);
    });
  }

  it('a port in use stops the start with one line that names the flag', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    try {
      const port = String(Object(holder.address()).port);
      for (const [flag, words] of [
        ['--port', ['server-a', '--server-b', 'localhost:1']],
        ['--server-b-port', ['--port', '0']],
      ] as const) {
        const { code, stdout, stderr } = await start([...words, flag, port]).ended;
        expect([code, stdout], flag).to.deep.equal([1, '']);
        expect(stderr).to.equal(
          `darkroom: Expected a free port for ${flag}, received ${port}, which is in use (EADDRINUSE)\n`,
        );
      }
    } finally {
      holder.close();
    }
  });

  it("-p with the relay's port serves both on that port", async () => {
    const port = await freePort();
    const serve = start(['server-a', '--server-b', 'localhost:1', '-p', `${port}`, '--websocket-port', `${port}`]);
    await serve.printed(CURL);
    const [camera, operator] = await Promise.all([1, 2].map(() => WebSocketClient.open(`ws://127.0.0.1:${port}/`)));
    operator?.send('snap');
    expect(await camera?.next()).to.equal('Message: snap');
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).to.equal(200);
    serve.process.kill('SIGTERM');
    const { code, stdout } = await serve.ended;
    expect(code).to.equal(0);
    expect(stdout).to.contain(`HTTP      http://127.0.0.1:${port}\n`).and.contain(`WebSocket 127.0.0.1:${port}\n`);
  });

  it('two flags with the same port stop the start with one line that names both', async () => {
    const port = String(await freePort());
    for (const [words, flag, earlier] of [
      [['-p', '0', '--zeromq-port', port, '--websocket-port', port], '--websocket-port', '--zeromq-port'],
      [['server-a', '--server-b', 'localhost:1', '-p', port, '--zeromq-port', port], '--zeromq-port', '--port'],
    ] as const) {
      expect(await start(words).ended).to.deep.include({
        code: 1,
        stdout: '',
        stderr: `darkroom: Expected a port of its own for ${flag}, received ${port}, which is also that of ${earlier}\n`,
      });
    }
  });

  it('server-b and server-a -i 0.0.0.0 run separately with the same token; the curl line works', async () => {
    const serverB = start(['server-b', '-p', '0', '--token', 'between us']);
    const [, address = ''] = await serverB.printed(/^Server B {2}(\S+)$/m);
    const folder = repositoryPath('test');
    const words = ['server-a', '-i', '0.0.0.0', '-p', '0', '--server-b', address, '--token', 'between us'];
    const serverA = start(words, folder);
    const [line] = await serverA.printed(CURL);
    await expectWorking(line, folder);
    for (const { process } of [serverA, serverB]) process.kill('SIGTERM');
    expect((await serverA.ended).code).to.equal(0);
    expect((await serverB.ended).code).to.equal(0);
  });
});
