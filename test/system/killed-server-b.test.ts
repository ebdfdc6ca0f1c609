import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { KILLERS, RELEASE_FILE, RUNNER_FILE } from '../support/killer-operations.ts';
import { plain } from '../support/pictures.ts';
import { childrenOf, eventually } from '../support/processes.ts';
import { repositoryPath } from '../support/repository.ts';
import { Service } from '../support/service.ts';

const environment = { DARKROOM_B_OPERATIONS_MODULE: repositoryPath('dist/test/support/killer-operations.js') };
const HALF = { scale_factor: '0.5', classify: 'false' };
/** More than the strikes after which a task fails. */
const ROUNDS = 4;

describe('a picture whose Server B is killed from outside', function () {
  this.timeout(180_000);
  let service: Service;

  before(async () => {
    service = await Service.start({ environment });
  });

  after(() => service.stop());

  /** Resolves when the attempt of the number given has begun. */
  async function underWay(id: string, attempt: number): Promise<void> {
    await eventually(`attempt ${attempt}`, async () => {
      const { status, attempts } = await service.status(id);
      return status === 'processing' && attempts === attempt ? true : undefined;
    });
  }

  /** Process id of the Server B that runs the attempt of the number given. */
  async function runnerOf(id: string, attempt: number): Promise<number> {
    await underWay(id, attempt);
    const file = join(service.dataDir, RUNNER_FILE);
    const pid = await eventually('a process that runs it', async () => {
      return Number(await readFile(file, 'utf8').catch(() => '')) || undefined;
    });
    await rm(file);
    return pid;
  }

  /** Lets the picture end. */
  const release = () => writeFile(join(service.dataDir, RELEASE_FILE), '');

  it('runs alone in a second Server B, while other tasks complete, and only then is there a second one', async () => {
    expect(await childrenOf(service.pid)).to.have.length(1);
    const id = await service.submit(await plain(KILLERS.waits, KILLERS.waits, 'red'), HALF);
    process.kill(await runnerOf(id, 1), 'SIGKILL');
    await runnerOf(id, 2);
    for (let other = 0; other < 4; other += 1) {
      const task = await service.run(await plain(40 + other, 30, 'blue'), HALF);
      expect([task.status, (await service.status(id)).status]).to.deep.equal(['completed', 'processing']);
    }
    expect(await childrenOf(service.pid)).to.have.length(2);
    await release();
    expect((await service.end(id)).status).to.equal('completed');
  });

  it('in each of its attempts completes in the first attempt that is left in peace', async () => {
    await rm(join(service.dataDir, RELEASE_FILE), { force: true });
    const id = await service.submit(await plain(KILLERS.waits, KILLERS.waits, 'red'), HALF);
    for (let round = 1; round <= ROUNDS; round += 1) {
      const runner = await runnerOf(id, round);
      // The last time, both end.
      const killed = round < ROUNDS ? [runner] : await childrenOf(service.pid);
      for (const pid of killed) process.kill(pid, 'SIGKILL');
    }
    await release();
    const task = await service.end(id);
    expect([task.status, task.error, task.attempts]).to.deep.equal(['completed', null, ROUNDS + 1]);
  });
});
