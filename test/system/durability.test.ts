import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Service, temporaryFolder } from '../support/service.ts';
import { expectOwnedPictures, LOAD_FLAGS, UploadLoad } from '../support/upload-load.ts';

/** How often each test kills. */
const ROUNDS = 2;
/** The longest time of a round before the kill, in milliseconds. */
const LONGEST_ROUND = 400;

describe('an accepted task ends exactly once, with the right picture, during uploads, when', function () {
  this.timeout(180_000);
  let dataDir: string;
  let service: Service;

  before(async () => {
    dataDir = await temporaryFolder();
    service = await Service.start({ dataDir, flags: LOAD_FLAGS });
  });

  after(async () => {
    await service.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Runs `kill` a few times during uploads, each time at another moment. */
  async function surviving(kill: () => Promise<void>): Promise<void> {
    const load = new UploadLoad(() => service);
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = load.accepted.length;
      while (load.accepted.length === before) await sleep(5);
      await sleep(Math.random() * LONGEST_ROUND);
      await kill();
    }
    await load.stop();
    await load.expectCompleted(service);
    await expectOwnedPictures(service);
    expect(JSON.parse((await service.get('/readyz')).body.toString())).to.include({ status: 'ready' });
  }

  async function restart(): Promise<void> {
    await service.signal('SIGKILL');
    service = await Service.start({ dataDir, flags: LOAD_FLAGS });
  }

  it('only Server A is killed', () => surviving(restart));

  it('only Server B is killed', async () => {
    const { pid } = service;
    await surviving(async () => {
      process.kill(await service.serverB(), 'SIGKILL');
    });
    expect(service.pid).to.equal(pid);
    expect(service.running.process.exitCode).to.equal(null);
  });

  it('both are killed', () =>
    surviving(async () => {
      process.kill(await service.serverB(), 'SIGKILL');
      await restart();
    }));
});
