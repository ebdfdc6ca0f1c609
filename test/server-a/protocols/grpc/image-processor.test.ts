import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import sharp from 'sharp';
import { z } from 'zod';
import { Dispatcher } from '../../../../server-a/dispatch/dispatcher.ts';
import { DARKROOM, IMAGE_PROCESSOR } from '../../../../server-a/protocols/grpc/protos.ts';
import { SERVER_B_PREFIX, serverBSettings } from '../../../../server-b/config.ts';
import { Supervisor } from '../../../../server-b/supervisor.ts';
import { resolveSettings } from '../../../../shared/config.ts';
import { runCommand } from '../../../support/command-in-process.ts';
import { runDarkroom } from '../../../support/command-line.ts';
import { decode, pixelAt } from '../../../support/pictures.ts';
import { makePicture, silent, submitPicture } from '../../tasks/support.ts';
import { collect, failureOf, type GrpcClient } from './grpc-client.ts';
import { type Fixture, startFixture } from './grpc-fixture.ts';

const responseSchema = z.object({ status: z.boolean(), path: z.string(), size: z.number() });

/** Each sentence of the service's contract (docs/grpc.md), with a real Server B. */
describe('service.ImageProcessor', function () {
  this.timeout(180_000);
  let supervisor: Supervisor;
  let dispatcher: Dispatcher;
  let fixture: Fixture;
  let client: GrpcClient;
  let root: string;

  before(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'darkroom-root-')));
    await mkdir(join(root, 'pictures'));
    const flags = { dataDir: join(root, '..', 'none'), modelFetch: false, threads: 1, port: 0, token: 'secret' };
    const settings = resolveSettings(serverBSettings, SERVER_B_PREFIX, { ...flags, logLevel: 'silent' }, {});
    supervisor = new Supervisor(settings, { environment: { PATH: process.env['PATH'] }, log: silent });
    await supervisor.start();
    fixture = await startFixture({ pathRoot: join(root, 'pictures') });
    dispatcher = new Dispatcher({
      records: fixture.tasks.records,
      backend: supervisor,
      token: 'secret',
      deadlineMs: 30_000,
      log: silent,
    });
    fixture.tasks.dispatcher.target = dispatcher;
    client = fixture.client(IMAGE_PROCESSOR);
  });

  after(async () => {
    await dispatcher.close(0);
    await fixture.stop();
    await supervisor.close();
    await rm(root, { recursive: true, force: true });
  });

  async function circle(request: { path: string; size?: number }) {
    return responseSchema.parse(await client.unary('ProcessImage', request));
  }

  async function place(name: string, bytes: Uint8Array): Promise<string> {
    const path = join(root, 'pictures', name);
    await writeFile(path, bytes);
    return path;
  }

  it('writes <stem>_processed.png to the same folder and answers its absolute path and the size', async () => {
    const picture = sharp({ create: { width: 300, height: 200, channels: 3, background: 'red' } });
    const path = await place('cat.jpg', await picture.jpeg().toBuffer());
    const output = join(root, 'pictures', 'cat_processed.png');
    expect(await circle({ path, size: 50 })).to.deep.equal({ status: true, path: output, size: 50 });
    const cut = await decode(await readFile(output));
    expect([cut.width, cut.height, cut.channels]).to.deep.equal([50, 50, 4]);
    expect(pixelAt(cut, 0, 0)[3]).to.equal(0);
    expect(pixelAt(cut, 25, 25)[3]).to.equal(255);
    expect(await readdir(join(root, 'pictures'))).to.have.members(['cat.jpg', 'cat_processed.png']);
  });

  it('treats a size of 0 or less as 256', async () => {
    const path = await place('small.png', await makePicture());
    for (const size of [0, -1, -(2 ** 31)])
      expect(await circle({ path, size })).to.include({ status: true, size: 256 });
    expect(await circle({ path })).to.include({ status: true, size: 256 });
  });

  it('answers an empty path for a missing file, without an error', async () => {
    const path = join(root, 'pictures', 'none.jpg');
    expect(await circle({ path, size: 9 })).to.deep.equal({ status: false, path: '', size: 0 });
  });

  it('answers the requested path for a file that is not a picture or is damaged', async () => {
    const whole = await makePicture(0, 200, 200);
    for (const bytes of [Buffer.from('no picture'), Buffer.alloc(0), whole.subarray(0, 60)]) {
      await place('text.jpg', bytes);
      const path = join(root, 'pictures', '.', 'text.jpg').replace('/text', '/./text');
      expect(await circle({ path, size: 9 })).to.deep.equal({ status: false, path, size: 0 });
    }
  });

  it('denies every path outside the root, whether the file exists or not', async () => {
    await writeFile(join(root, 'secret.jpg'), await makePicture());
    await symlink(join(root, 'secret.jpg'), join(root, 'pictures', 'link.jpg'));
    const outside = ['/etc/hostname', '/nowhere/at/all', join(root, 'secret.jpg'), join(root, 'none.jpg')];
    const ways = [`${root}/pictures/../secret.jpg`, `${root}/pictures/link.jpg`, root, '\0'];
    for (const path of [...outside, ...ways]) {
      const failure = await failureOf(client.unary('ProcessImage', { path, size: 9 }));
      expect(failure, path).to.include({ code: status.PERMISSION_DENIED, darkroom: 'PATH_NOT_ALLOWED' });
    }
    expect(await readdir(root)).to.have.members(['pictures', 'secret.jpg']);
  });

  it('answers a folder, an empty path and a size that cannot be made with the requested path', async () => {
    const large = await place('large.png', await makePicture());
    for (const [path, size] of [
      [join(root, 'pictures'), 9],
      ['', 9],
      [large, 16_385],
      [large, 2 ** 31 - 1],
    ] as const) {
      expect(await circle({ path, size })).to.deep.equal({ status: false, path, size: 0 });
    }
  });

  it('serves darkroom circle, which prints a line for each file', async () => {
    await place('a.png', await makePicture());
    const surroundings = { folder: join(root, 'pictures'), environment: { DARKROOM_GRPC: fixture.address } };
    const { code, stdout, stderr } = await runDarkroom(['circle', 'a.png', 'b.png', '--size', '20'], surroundings);
    expect(stdout).to.equal(`a.png  ${join(root, 'pictures', 'a_processed.png')}  20×20\n`);
    expect([code, stderr]).to.deep.equal([1, 'b.png  is not on the server\n']);
    const denied = await runCommand(['circle', '/etc/hostname', '--json'], surroundings);
    expect(JSON.parse(denied.stdout)).to.deep.include({ file: '/etc/hostname', status: false, path: '', size: 0 });
    expect(JSON.parse(denied.stdout).error.code).to.equal('PATH_NOT_ALLOWED');
    expect(denied.code).to.equal(1);
  });

  it('shows a task of another protocol until its end', async () => {
    const { task_id } = await submitPicture(fixture.tasks, [
      { name: 'circle', operation: 'circle', size: 7, format: 'png' },
    ]);
    const darkroom = fixture.client(DARKROOM);
    const states = await collect(darkroom.serverStream('Watch', { task_id }));
    expect(states.at(-1)).to.include({ status: 'TASK_STATUS_COMPLETED' });
    const [, ...chunks] = await collect(darkroom.serverStream('Result', { task_id }));
    const bytes = Buffer.concat(
      chunks.map((message) => z.object({ chunk: z.instanceof(Buffer) }).parse(message).chunk),
    );
    expect(await sharp(bytes).metadata()).to.include({ format: 'png', width: 7, height: 7 });
  });
});

describe('service.ImageProcessor without a root', () => {
  it('denies every path', async () => {
    const fixture = await startFixture();
    const client = fixture.client(IMAGE_PROCESSOR);
    for (const path of ['/etc/hostname', '/nowhere']) {
      expect((await failureOf(client.unary('ProcessImage', { path }))).code).to.equal(status.PERMISSION_DENIED);
    }
    await fixture.stop();
  });
});
