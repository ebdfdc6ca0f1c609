import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type Running, startDarkroom } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';
import { progressiveJpeg } from '../support/large-headers.ts';
import { plain } from '../support/pictures.ts';
import { Service, temporaryFolder } from '../support/service.ts';
import { expectOwnedSpool, UploadLoad } from '../support/upload-load.ts';

const HALF = { scale_factor: '0.5', classify: 'false' };
const TOKEN = 'between us';

describe('separate Server A and Server B', function () {
  this.timeout(180_000);
  let folder: string;
  let serverBs: Running[];
  let service: Service;

  before(async () => {
    folder = await temporaryFolder();
  });

  after(() => rm(folder, { recursive: true, force: true }));

  beforeEach(() => {
    serverBs = [];
  });

  afterEach(async () => {
    await service.stop();
    for (const { process } of serverBs) process.kill('SIGKILL');
    await Promise.all(serverBs.map(({ ended }) => ended));
  });

  /** Starts a separate Server B; resolves with it and its address. */
  async function startServerB(ip: string, token: string, port = '0', more: readonly string[] = []) {
    const flags = ['-i', ip, '-p', port, '--token', token, '--data-dir', folder, '--no-model-fetch'];
    const running = startDarkroom(['server-b', ...flags, '--threads', '1', '--log-level', 'silent', ...more]);
    serverBs.push(running);
    const [, address = ''] = await running.printed(/^Server B {2}(\S+)$/m);
    return { running, address, port: address.slice(address.lastIndexOf(':') + 1) };
  }

  async function startServerA(ip: string, serverB: string): Promise<void> {
    const flags = ['--server-b', serverB, '--token', TOKEN];
    service = await Service.start({ command: 'server-a', ip, flags });
  }

  for (const [a, b] of [
    ['127.0.0.1', '::1'],
    ['::1', '127.0.0.1'],
  ] as const) {
    it(`on ${a} and ${b} complete a task`, async () => {
      const { address } = await startServerB(b, TOKEN);
      await startServerA(a, address);
      expect((await service.run(await plain(20, 20, 'red'), HALF)).status).to.equal('completed');
    });
  }

  it('with different tokens run no task, report the reason, and continue once the tokens are equal', async () => {
    const wrong = await startServerB('::1', 'not between us');
    await startServerA('127.0.0.1', wrong.address);
    const id = await service.submit(await plain(20, 20, 'red'), HALF);
    const { backend, lanes } = await service.ready(503);
    expect([lanes, backend]).to.deep.equal([0, "Expected Server B's token, received another"]);
    expect(await service.status(id)).to.include({ status: 'pending', attempts: 0 });
    wrong.running.process.kill('SIGTERM');
    expect(await wrong.running.ended).to.include({ code: 0 });
    await startServerB('::1', TOKEN, wrong.port);
    expect(await service.end(id)).to.include({ status: 'completed', attempts: 1 });
    await service.ready();
  });

  it('connect when Server B starts later', async () => {
    const earlier = await startServerB('::1', TOKEN);
    earlier.running.process.kill('SIGTERM');
    await earlier.running.ended;
    await startServerA('::1', earlier.address);
    const id = await service.submit(await plain(20, 20, 'red'), HALF);
    expect((await service.ready(503))['backend']).to.match(/ECONNREFUSED/);
    await startServerB('::1', TOKEN, earlier.port);
    expect((await service.end(id)).status).to.equal('completed');
  });

  it('refuse a picture that needs more memory than Server B announces; one accepted earlier fails', async () => {
    const port = String(await freePort('::1'));
    await startServerA('127.0.0.1', `[::1]:${port}`);
    const picture = progressiveJpeg(6000, 4000);
    const id = await service.submit(picture, HALF);
    await startServerB('::1', TOKEN, port, ['--memory-mb', '64']);
    expect((await service.end(id)).error?.code).to.equal('IMAGE_TOO_LARGE');
    const answer = await service.post(picture, HALF);
    expect(answer.status).to.equal(413);
    expect(answer.body.toString()).to.include('at most 67108864 bytes to work on (--memory-mb)');
  });

  it('lose no task when Server B is stopped and started again under load', async () => {
    let serverB = await startServerB('::1', TOKEN);
    await startServerA('127.0.0.1', serverB.address);
    const load = new UploadLoad(() => service);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const before = load.accepted.length;
      while (load.accepted.length < before + 10) await sleep(5);
      serverB.running.process.kill(signal);
      await serverB.running.ended;
      serverB = await startServerB('::1', TOKEN, serverB.port);
    }
    await load.stop();
    await load.expectCompleted(service);
    await expectOwnedSpool(service);
  });
});
