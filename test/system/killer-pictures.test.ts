import { expect } from 'chai';
import { KILLERS } from '../support/killer-operations.ts';
import { decode, plain } from '../support/pictures.ts';
import { repositoryPath } from '../support/repository.ts';
import { Service } from '../support/service.ts';

const environment = { DARKROOM_B_OPERATIONS_MODULE: repositoryPath('dist/test/support/killer-operations.js') };
const HALF = { scale_factor: '0.5', classify: 'false' };

describe('a picture that its worker cannot survive', function () {
  this.timeout(60_000);
  let service: Service;

  afterEach(() => service.stop());

  function killer(kind: keyof typeof KILLERS): Promise<Buffer> {
    return plain(KILLERS[kind], KILLERS[kind], 'red');
  }

  /** Harmless pictures, each of a different size. */
  function innocents(count: number): Promise<string[]> {
    return Promise.all(
      Array.from({ length: count }, async (_, index) => service.submit(await plain(400 + index, 300, 'blue'), HALF)),
    );
  }

  async function expectCompleted(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const task = await service.end(id);
      expect([task.status, task.error], JSON.stringify(task)).to.deep.equal(['completed', null]);
      const { width, height } = await decode(await service.picture(id));
      expect([width, height]).to.deep.equal([Math.round(Number(task.input.width) / 2), 150]);
    }
  }

  const ends = {
    throws: ['INTERNAL', 'throws'],
    exitsThread: ['WORKER_CRASHED', 'takes its thread with it'],
    hangs: ['TIMEOUT', 'hangs'],
    abortsProcess: ['WORKER_CRASHED', 'takes the whole process with it'],
  } as const;
  for (const kind of ['throws', 'exitsThread', 'hangs', 'abortsProcess'] as const) {
    const [code, what] = ends[kind];
    it(`that ${what} fails with ${code}, and all tasks beside it complete`, async () => {
      // A new service each time: the supervisor waits longer the more often Server B has ended. Only a picture that hangs
      // needs a deadline: on a busy machine a new thread may take seconds to load its libraries.
      service = await Service.start({ environment, flags: kind === 'hangs' ? ['--job-seconds', '5'] : [] });
      const { pid } = service;
      const before = await innocents(4);
      const killing = await service.submit(await killer(kind), HALF);
      const after = await innocents(4);
      const task = await service.end(killing);
      expect([task.status, task.error?.code], JSON.stringify(task)).to.deep.equal(['failed', code]);
      await expectCompleted([...before, ...after, ...(await innocents(2))]);
      await service.ready();
      expect([service.pid, service.running.process.exitCode]).to.deep.equal([pid, null]);
    });
  }
});
