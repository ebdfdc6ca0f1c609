import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Task } from '../../shared/task.ts';
import { ask } from '../server-a/protocols/http/http-fixture.ts';
import { startDarkroom } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';
import { KILLERS, RELEASE_FILE } from '../support/killer-operations.ts';
import { plain } from '../support/pictures.ts';
import { childrenOf, eventually } from '../support/processes.ts';
import { repositoryPath } from '../support/repository.ts';
import { HTTP_ONLY, hasGone, Service, temporaryFolder } from '../support/service.ts';

const killers = { DARKROOM_B_OPERATIONS_MODULE: repositoryPath('dist/test/support/killer-operations.js') };
const HALF = { scale_factor: '0.5', classify: 'false' };
/** More than can run at once. */
const TASKS = 6;

describe('shutdown of a service', function () {
  this.timeout(180_000);
  let dataDir: string;
  let service: Service;

  async function someUnderWay(ids: readonly string[]): Promise<void> {
    await eventually('a task under way', async () => {
      const tasks = await Promise.all(ids.map((id) => service.status(id)));
      return tasks.find(({ status }) => status !== 'pending');
    });
  }

  async function submitHanging(): Promise<string> {
    const id = await service.submit(await plain(KILLERS.hangs, KILLERS.hangs, 'red'), HALF);
    await someUnderWay([id]);
    return id;
  }

  describe('that is started again afterwards', () => {
    before(async () => {
      dataDir = await temporaryFolder();
      await start();
    });

    after(async () => {
      await service.stop();
      await rm(dataDir, { recursive: true, force: true });
    });

    async function start(): Promise<void> {
      service = await Service.start({
        dataDir,
        environment: killers,
        leadsGroup: true,
        flags: ['--job-seconds', '10'],
      });
    }

    /** Ids of tasks that wait for {@link release}; some of them are running. */
    async function submitWaiting(): Promise<string[]> {
      await rm(join(dataDir, RELEASE_FILE), { force: true });
      const picture = await plain(KILLERS.waits, KILLERS.waits, 'red');
      const ids = await Promise.all(Array.from({ length: TASKS }, () => service.submit(picture, HALF)));
      await someUnderWay(ids);
      return ids;
    }

    /** Lets the waiting tasks end, once the service accepts no new ones. */
    async function release(): Promise<void> {
      await service.ready(503);
      await writeFile(join(dataDir, RELEASE_FILE), '');
    }

    /** Starts again on the same folder. Some tasks had ended, the others are pending, and no task runs twice. */
    async function expectAllRunOnce(ids: readonly string[]): Promise<void> {
      const restarted = new Date().toISOString();
      await start();
      const tasks: Task[] = [];
      for (const id of ids) tasks.push(await service.end(id));
      expect(tasks.map(({ status, attempts }) => `${status} ${attempts}`)).to.deep.equal(ids.map(() => 'completed 1'));
      const late = tasks.filter(({ started_at: started }) => started !== null && started > restarted);
      expect(late.length).to.be.within(1, TASKS - 1);
    }

    it('by SIGTERM lets running tasks finish, and leaves the others for the next start', async () => {
      const ids = await submitWaiting();
      service.running.process.kill('SIGTERM');
      await release();
      expect(await service.running.ended).to.include({ code: 0, stderr: '' });
      await expectAllRunOnce(ids);
    });

    it('by Ctrl-C, which reaches both processes, does the same', async () => {
      const ids = await submitWaiting();
      process.kill(-service.pid, 'SIGINT');
      await release();
      expect(await service.running.ended).to.include({ code: 0, stderr: '' });
      await expectAllRunOnce(ids);
    });

    it('answers requests while the last task runs, and accepts no new task', async () => {
      const id = await submitHanging();
      service.running.process.kill('SIGTERM');
      const { store } = await service.ready(503);
      expect(store).to.equal('draining');
      const refusal = await service.post(await plain(20, 20, 'red'), HALF);
      expect([refusal.status, JSON.parse(refusal.body.toString()).code]).to.deep.equal([503, 'DRAINING']);
      expect((await service.status(id)).status).to.equal('processing');
      expect((await service.running.ended).code).to.equal(0);
    });
  });

  describe('that has a new folder', () => {
    beforeEach(async () => {
      dataDir = await temporaryFolder();
    });

    afterEach(async () => {
      await service?.stop();
      await rm(dataDir, { recursive: true, force: true });
    });

    for (const command of ['serve', 'server-b']) {
      it(`by Ctrl-C during the start of ${command} has the exit code 0`, async () => {
        const words = [command, '-p', '0', '--data-dir', dataDir, '--no-model-fetch', '--threads', '1'];
        const starting = startDarkroom(words, { leadsGroup: true });
        const pid = starting.process.pid ?? 0;
        await eventually('a Server B', async () => (await childrenOf(pid))[0]);
        process.kill(-pid, 'SIGINT');
        expect(await starting.ended).to.include({ code: 0, stderr: '' });
      });
    }

    it('by SIGTERM does not wait for a Server B that takes long to start', async () => {
      const endless = join(dataDir, 'endless.mjs');
      await writeFile(endless, 'await new Promise((resolve) => setTimeout(resolve, 3_600_000));');
      const port = await freePort();
      const words = [
        'serve',
        '-p',
        String(port),
        '--data-dir',
        dataDir,
        '--no-model-fetch',
        '--threads',
        '1',
        ...HTTP_ONLY,
      ];
      const starting = startDarkroom(words, { environment: { DARKROOM_B_OPERATIONS_MODULE: endless } });
      await eventually('Server A', () => ask({ host: '127.0.0.1', port }, { path: '/livez' }).catch(() => undefined));
      starting.process.kill('SIGTERM');
      expect(await starting.ended).to.include({ code: 0, stdout: '' });
    });

    it('by a second SIGTERM is immediate, and ends Server B, too', async () => {
      service = await Service.start({ dataDir, environment: killers });
      const serverB = await service.serverB();
      await submitHanging();
      service.running.process.kill('SIGTERM');
      await service.ready(503);
      expect(await service.signal('SIGTERM')).to.include({ code: 143 });
      await hasGone(serverB);
    });

    it('by SIGKILL ends Server B, too, even when it is busy', async () => {
      service = await Service.start({ dataDir, environment: killers });
      const serverB = await service.serverB();
      await submitHanging();
      service.running.process.kill('SIGKILL');
      await hasGone(serverB);
    });
  });
});
