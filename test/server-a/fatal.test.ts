import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { FakeServerB, welcome } from '../support/fake-server-b.ts';
import { eventually } from '../support/processes.ts';
import { repositoryPath } from '../support/repository.ts';
import { type RunningProgram, startProgram } from '../support/run-program.ts';
import { makePicture } from './tasks/support.ts';

/**
 * The largest size of a file of the process, in POSIX blocks of 512 bytes: enough for the store's tables and some
 * tasks. A write beyond it fails with EFBIG. After EFBIG, unlike after ENOSPC, SQLite does not know which bytes are on
 * disk.
 */
const LARGEST_FILE = 512;

describe('a store that cannot be written any more', function () {
  this.timeout(180_000);
  let folder: string;
  let fake: FakeServerB;
  let running: RunningProgram;
  let isCut = false;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-fatal-'));
    // A Server B that disconnects during its first job and does not greet again, so the job stays in doubt.
    fake = await FakeServerB.open(({ wire, socket }) => ({
      HELLO: () => {
        if (!isCut) wire.send('WELCOME', welcome());
      },
      JOB: () => wire.signal('GO'),
      DATA: () => {
        isCut = true;
        socket.resetAndDestroy();
      },
    }));
  });

  afterEach(async () => {
    running.process.kill('SIGKILL');
    await running.ended;
    await fake.close();
    await rm(folder, { recursive: true });
  });

  async function start(): Promise<string> {
    const { host, port } = fake.address;
    const off = ['--zeromq-port', '--zeromq-pub-port', '--grpc-port', '--websocket-port'].flatMap((flag) => [
      flag,
      '0',
    ]);
    const flags = ['-p', '0', ...off, '--data-dir', folder, '--server-b', `${host}:${port}`];
    const words = [process.execPath, repositoryPath('dist/bin/darkroom.js'), 'server-a', ...flags];
    running = startProgram('sh', ['-c', `ulimit -f ${LARGEST_FILE}; exec "$@"`, 'sh', ...words], {
      folder,
      environment: { PATH: process.env['PATH'] },
    });
    const [, address = ''] = await running.printed(/^HTTP {6}(http:\/\/\S+)$/m);
    return address;
  }

  it('ends the process, so that it can be restarted, even with a job in doubt', async () => {
    const address = await start();
    const body = await makePicture();
    const upload = () => {
      const headers = { 'content-type': 'image/png' };
      return fetch(`${address}/upload?scale_factor=0.5`, { method: 'POST', headers, body: new Uint8Array(body) });
    };
    await upload();
    await eventually('a job that was cut off', () => isCut || undefined);
    const isRefused = () =>
      upload().then(
        ({ status }) => status >= 500,
        () => true,
      );
    await eventually('a refusal', async () => (await isRefused()) || undefined);
    const { code, stderr } = await running.ended;
    expect(code).to.equal(1);
    expect(stderr).to.match(/"msg":"a job in doubt was not released"/);
    expect(stderr).to.match(/^darkroom: .*The thread that writes the store ended/m);
  });
});
