import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { KILLERS, RELEASE_FILE } from '../support/killer-operations.ts';
import { plain } from '../support/pictures.ts';
import { eventually } from '../support/processes.ts';
import { repositoryPath } from '../support/repository.ts';
import { Service } from '../support/service.ts';

const environment = { DARKROOM_B_OPERATIONS_MODULE: repositoryPath('dist/test/support/killer-operations.js') };
const HALF = { scale_factor: '0.5', classify: 'false' };
/** Longer than a silent instance may live, and a silent lane stays open. */
const STALL_MS = 7500;

describe('a service that is stopped for a while and goes on', function () {
  this.timeout(180_000);
  let service: Service;

  afterEach(() => service.stop());

  /** Stops the processes while Server B works on a picture; gives the picture's task and the process of Server B. */
  async function stall(stopped: (serverB: number) => readonly number[]) {
    const serverB = await service.serverB();
    const id = await service.submit(await plain(KILLERS.waits, KILLERS.waits, 'red'), HALF);
    await eventually('a task under way', async () => {
      return (await service.status(id)).status === 'processing' ? true : undefined;
    });
    const pids = stopped(serverB);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await sleep(STALL_MS);
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    await service.ready();
    await writeFile(join(service.dataDir, RELEASE_FILE), '');
    return { task: await service.end(id), serverB };
  }

  it('does not kill its Server B when only Server A was stopped, and completes its task', async () => {
    service = await Service.start({ environment });
    const { task, serverB } = await stall(() => [service.pid]);
    expect([task.status, task.error]).to.deep.equal(['completed', null]);
    expect(await service.serverB()).to.equal(serverB);
  });

  it('completes its task, within its time, when both were stopped, as on a machine that was suspended', async () => {
    // Less than the stall.
    service = await Service.start({ environment, flags: ['--job-seconds', '6'] });
    const { task, serverB } = await stall((pid) => [pid, service.pid]);
    // A worker may end the job for the stall before it runs again; then the job has a second attempt, without a strike.
    expect([task.status, task.error]).to.deep.equal(['completed', null]);
    expect(await service.serverB()).to.equal(serverB);
  });
});
