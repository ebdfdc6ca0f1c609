import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Task } from '../../shared/task.ts';
import { ask } from '../server-a/protocols/http/http-fixture.ts';
import { startDarkroom } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';
import { KILLERS } from '../support/killer-operations.ts';
import { plain, waves } from '../support/pictures.ts';
import { childrenOf, eventually } from '../support/processes.ts';
import { repositoryPath } from '../support/repository.ts';
import { HTTP_ONLY, hasGone, Service, temporaryFolder } from '../support/service.ts';

const killers = { DARKROOM_B_OPERATIONS_MODULE: repositoryPath('dist/test/support/killer-operations.js') };
const SLOW = { scale_factor: '1', format: 'avif', classify: 'false' };
const TASKS = 6;

describe('shutdown of a service', function () {
  this.timeout(180_000);
  let dataDir: string;
  let service: Service;

  beforeEach(async () => {
    dataDir = await temporaryFolder();
  });

  afterEach(async () => {
    await service?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Ids of slow tasks, more than can run at once; some of them are running. */
  async function submitSlow(): Promise<string[]> {
    const picture = await waves(500, 400).png().toBuffer();
    const ids = await Promise.all(Array.from({ length: TASKS }, () => service.submit(picture, SLOW)));
    await someUnderWay(ids);
    return ids;
  }

  async function someUnderWay(ids: readonly string[]): Promise<void> {
    await eventually('a task under way', async () => {
      const tasks = await Promise.all(ids.map((id) => service.status(id)));
      return tasks.find(({ status }) => status !== 'pending');
    });
  }

  async function submitHanging(): Promise<string> {
    const id = await service.submit(await plain(KILLERS.hangs, KILLERS.hangs, 'red'), SLOW);
    await someUnderWay([id]);
    return id;
  }

  /** Starts again on the same folder. Some tasks had ended, the others are pending, and no task runs twice. */
  async function expectAllRunOnce(ids: readonly string[]): Promise<void> {
    const restarted = new Date().toISOString();
    service = await Service.start({ dataDir });
    const tasks: Task[] = [];
    for (const id of ids) tasks.push(await service.end(id));
    expect(tasks.map(({ status, attempts }) => `${status} ${attempts}`)).to.deep.equal(ids.map(() => 'completed 1'));
    const late = tasks.filter(({ started_at: started }) => started !== null && started > restarted);
    expect(late.length).to.be.within(1, TASKS - 1);
  }

  it('by SIGTERM lets running tasks finish, and leaves the others for the next start', async () => {
    service = await Service.start({ dataDir });
    const ids = await submitSlow();
    expect(await service.signal('SIGTERM')).to.include({ code: 0, stderr: '' });
    await expectAllRunOnce(ids);
  });

  it('by Ctrl-C, which reaches both processes, does the same', async () => {
    service = await Service.start({ dataDir, leadsGroup: true });
    const ids = await submitSlow();
    process.kill(-service.pid, 'SIGINT');
    expect(await service.running.ended).to.include({ code: 0, stderr: '' });
    await expectAllRunOnce(ids);
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

  it('answers requests while the last task runs, and accepts no new task', async () => {
    service = await Service.start({ dataDir, environment: killers, flags: ['--job-seconds', '2'] });
    const id = await submitHanging();
    service.running.process.kill('SIGTERM');
    const { store } = await service.ready(503);
    expect(store).to.equal('draining');
    const refusal = await service.post(await plain(20, 20, 'red'), SLOW);
    expect([refusal.status, JSON.parse(refusal.body.toString()).code]).to.deep.equal([503, 'DRAINING']);
    expect((await service.status(id)).status).to.equal('processing');
    expect((await service.running.ended).code).to.equal(0);
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
