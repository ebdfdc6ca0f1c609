import { expect } from 'chai';
import type { ErrorCode } from '../../shared/errors.ts';
import { KILLERS } from '../support/killer-operations.ts';
import { decode, plain } from '../support/pictures.ts';
import { repositoryPath } from '../support/repository.ts';
import { Service } from '../support/service.ts';

const environment = { DARKROOM_B_OPERATIONS_MODULE: repositoryPath('dist/test/support/killer-operations.js') };
const HALF = { scale_factor: '0.5', classify: 'false' };

describe('a picture whose operation', function () {
  this.timeout(180_000);
  let service: Service;

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

  /** A task of a picture that misbehaves, among harmless ones, fails with `code`; all others complete. */
  async function expectFailure(kind: keyof typeof KILLERS, code: ErrorCode): Promise<void> {
    const { pid } = service;
    const before = await innocents(4);
    const killing = await service.submit(await killer(kind), HALF);
    const after = await innocents(4);
    const task = await service.end(killing);
    expect([task.status, task.error?.code], JSON.stringify(task)).to.deep.equal(['failed', code]);
    await expectCompleted([...before, ...after, ...(await innocents(2))]);
    await service.ready();
    expect([service.pid, service.running.process.exitCode]).to.deep.equal([pid, null]);
  }

  describe('but its Server B does', () => {
    before(async () => {
      service = await Service.start({ environment });
    });

    after(() => service.stop());

    it('that throws fails with INTERNAL, and all tasks beside it complete', () => expectFailure('throws', 'INTERNAL'));

    it('that takes its thread with it fails with WORKER_CRASHED, and all tasks beside it complete', () =>
      expectFailure('exitsThread', 'WORKER_CRASHED'));
  });

  describe('nor its Server B', () => {
    // A new service each time, so that no suspect of another picture is left.
    afterEach(() => service.stop());

    it('that hangs fails with TIMEOUT, and all tasks beside it complete', async () => {
      // Only here a deadline: on a busy machine a new thread may take seconds to load its libraries.
      service = await Service.start({ environment, flags: ['--job-seconds', '5'] });
      await expectFailure('hangs', 'TIMEOUT');
    });

    it('that takes the whole process with it fails with WORKER_CRASHED, and all tasks beside it complete', async () => {
      service = await Service.start({ environment });
      await expectFailure('abortsProcess', 'WORKER_CRASHED');
      const refused = await service.post(await killer('abortsProcess'), HALF);
      expect([refused.status, JSON.parse(refused.body.toString()).code]).to.deep.equal([422, 'QUARANTINED']);
    });
  });
});
