import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type Ended, type Running, startDarkroom } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';
import { progressiveJpeg } from '../support/large-headers.ts';
import { plain } from '../support/pictures.ts';
import { eventually } from '../support/processes.ts';
import { Service, temporaryFolder } from '../support/service.ts';
import { expectOwnedPictures, LOAD_FLAGS, UploadLoad } from '../support/upload-load.ts';

const HALF = { scale_factor: '0.5', classify: 'false' };
const TOKEN = 'between us';

describe('separate Server A and Server B', function () {
  this.timeout(180_000);
  let folder: string;
  let serverBs: Running[];
  let service: Service;

  before(async () => {
    folder = await temporaryFolder();
    serverBs = [];
  });

  after(() => rm(folder, { recursive: true, force: true }));

  /** Starts a separate Server B; resolves with it and its address. */
  async function startServerB(ip: string, token: string, port = '0', more: readonly string[] = []) {
    const flags = ['-i', ip, '-p', port, '--token', token, '--data-dir', folder, '--no-model-fetch'];
    const running = startDarkroom(['server-b', ...flags, '--threads', '1', '--log-level', 'silent', ...more]);
    serverBs.push(running);
    const [, address = ''] = await running.printed(/^Server B {2}(\S+)$/m);
    return { running, address, port: address.slice(address.lastIndexOf(':') + 1) };
  }

  async function startServerA(ip: string, serverB: string): Promise<void> {
    const flags = ['--server-b', serverB, '--token', TOKEN, ...LOAD_FLAGS];
    service = await Service.start({ command: 'server-a', ip, flags });
  }

  async function stopAll(): Promise<void> {
    await service.stop();
    for (const { process } of serverBs) process.kill('SIGKILL');
    await Promise.all(serverBs.map(({ ended }) => ended));
  }

  describe('on ::1 and 127.0.0.1', () => {
    const large = progressiveJpeg(6000, 4000);
    /** Ids of a small and a large picture that were accepted before Server B started. */
    let ids: string[];
    let earlier: Record<string, unknown>;

    before(async () => {
      const port = String(await freePort());
      await startServerA('::1', `127.0.0.1:${port}`);
      ids = [await service.submit(await plain(20, 20, 'red'), HALF), await service.submit(large, HALF)];
      earlier = await service.ready(503);
      await startServerB('127.0.0.1', TOKEN, port, ['--memory-mb', '64']);
    });

    after(stopAll);

    it('connect when Server B starts later, and complete a task', async () => {
      expect(earlier['backend']).to.match(/ECONNREFUSED/);
      expect((await service.end(ids[0] ?? '')).status).to.equal('completed');
    });

    it('refuse a picture that needs more memory than Server B announces; one accepted earlier fails', async () => {
      expect((await service.end(ids[1] ?? '')).error?.code).to.equal('IMAGE_TOO_LARGE');
      const answer = await service.post(large, HALF);
      expect(answer.status).to.equal(413);
      expect(answer.body.toString()).to.include('at most 67108864 bytes to work on (--memory-mb)');
    });
  });

  describe('on 127.0.0.1 and ::1', () => {
    let serverB: Awaited<ReturnType<typeof startServerB>>;

    before(async () => {
      serverB = await startServerB('::1', TOKEN);
      await startServerA('127.0.0.1', serverB.address);
    });

    after(stopAll);

    /** Ends Server B by a signal, and starts another on its port. Resolves with the exit code, or the signal. */
    async function restartServerB(signal: NodeJS.Signals, token = TOKEN): Promise<Ended['code']> {
      serverB.running.process.kill(signal);
      const { code } = await serverB.running.ended;
      serverB = await startServerB('::1', token, serverB.port);
      return code;
    }

    it('complete every task when Server B is stopped and started again under load', async () => {
      const load = new UploadLoad(() => service);
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        const before = load.accepted.length;
        while (load.accepted.length < before + 10) await sleep(5);
        expect(await restartServerB(signal)).to.equal(signal === 'SIGTERM' ? 0 : signal);
      }
      await load.stop();
      await load.expectCompleted(service);
      await expectOwnedPictures(service);
    });

    it('with different tokens run no task, report the reason, and continue once the tokens are equal', async () => {
      await restartServerB('SIGTERM', 'not between us');
      const id = await service.submit(await plain(20, 20, 'red'), HALF);
      const { lanes } = await eventually('the reason', async () => {
        const readiness = await service.ready(503);
        return readiness['backend'] === "Expected Server B's token, received another" ? readiness : undefined;
      });
      expect(lanes).to.equal(0);
      expect(await service.status(id)).to.include({ status: 'pending', attempts: 0 });
      await restartServerB('SIGTERM');
      expect(await service.end(id)).to.include({ status: 'completed', attempts: 1 });
      await service.ready();
    });
  });
});
