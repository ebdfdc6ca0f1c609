import { expect } from 'chai';
import type { ErrorCode } from '../../shared/errors.ts';
import { expectUnharmed, submitBeside } from '../support/innocents.ts';
import type { KILLERS } from '../support/killer-operations.ts';
import { repositoryPath } from '../support/repository.ts';
import { Service } from '../support/service.ts';

const environment = { DARKROOM_B_OPERATIONS_MODULE: repositoryPath('dist/test/support/killer-operations.js') };

// quarantine.test.ts has the picture that takes the whole process with it.
describe('a picture', function () {
  this.timeout(180_000);
  let service: Service;

  /** A task of a picture that misbehaves, among harmless ones, fails with `code`; all others complete. */
  async function expectFailure(kind: keyof typeof KILLERS, code: ErrorCode): Promise<void> {
    const { killer, innocents } = await submitBeside(service, kind);
    const task = await service.end(killer);
    expect([task.status, task.error?.code], JSON.stringify(task)).to.deep.equal(['failed', code]);
    await expectUnharmed(service, innocents);
  }

  describe('that fails on its own', () => {
    before(async () => {
      service = await Service.start({ environment });
    });

    after(() => service.stop());

    it('and throws fails with INTERNAL, and all tasks beside it complete', () => expectFailure('throws', 'INTERNAL'));

    it('and takes its thread with it fails with WORKER_CRASHED, and all tasks beside it complete', () =>
      expectFailure('exitsThread', 'WORKER_CRASHED'));
  });

  it('that hangs fails with TIMEOUT, and all tasks beside it complete', async () => {
    // Only here a deadline: on a busy machine a new thread may take seconds to load its libraries.
    service = await Service.start({ environment, flags: ['--job-seconds', '5'] });
    try {
      await expectFailure('hangs', 'TIMEOUT');
    } finally {
      await service.stop();
    }
  });
});
