import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { Attempt, Mode } from '../../../server-a/dispatch/attempt.ts';
import { AttemptEnds } from '../../../server-a/dispatch/attempt-ends.ts';
import type { JobOutcome } from '../../../server-a/dispatch/lane-client.ts';
import type { Answer } from '../../../server-a/dispatch/verdict.ts';
import { DarkroomError, type ErrorCode } from '../../../shared/errors.ts';
import { createLogger } from '../../../shared/log.ts';
import { codeOf } from '../tasks/support.ts';
import { jobOf } from './support.ts';

const INPUT = Buffer.from('the picture');
const SHA256 = createHash('sha256').update(INPUT).digest('hex');

function attemptOf(mode: Mode, id = 'one'): Attempt {
  return { job: jobOf(id, { sha256: SHA256 }), mode };
}

function failed(code: ErrorCode): JobOutcome {
  return { kind: 'failed', error: { code, message: 'why' } };
}

/** What the instances say of themselves. A job can have ended the first one. */
const FIRST: Answer = { instance: 'first', ended: [] };
const SECOND: Answer = { instance: 'second', ended: [{ instance: 'first', cause: 'crashed' }] };
const LOST: JobOutcome = { kind: 'lost', instance: 'first', isPastGo: true };

describe('attempt ends', () => {
  let ends: AttemptEnds;
  /** The recorded steps, in order. */
  let done: string[];
  let input: Buffer;
  let strike: 'pending' | 'failed' | 'unchanged';
  /** The error with which each write rejects. */
  let problem: Error | null;

  beforeEach(() => {
    done = [];
    input = INPUT;
    strike = 'pending';
    problem = null;
    const write = async (what: string) => {
      if (problem !== null) throw problem;
      done.push(what);
    };
    ends = new AttemptEnds({
      records: {
        complete: (job) => write(`complete ${job.id}`).then(() => true),
        fail: (job, { code }) => write(`fail ${job.id} ${code}`).then(() => true),
        crashedAlone: (job, isStrike) => write(`${isStrike ? 'strike' : 'crash'} ${job.id}`).then(() => strike),
        readInput: async function* () {
          yield input;
        },
      },
      schedule: {
        release: ({ id }, mode) => write(`release ${id} ${mode}`),
        putBehind: (id) => done.push(`put behind ${id}`),
      },
      backOff: {
        pause: (reason) => done.push(`pause: ${reason}`),
        reset: () => done.push('reset'),
        record: async (job, mode, work) => {
          try {
            await work();
          } catch (error) {
            done.push(`unwritten ${job.id} ${mode}`);
            throw error;
          }
        },
      },
      log: createLogger('test', 'silent'),
    });
  });

  /** Outputs whose commit succeeds or fails. */
  function received(commit: () => Promise<[]>): JobOutcome {
    const discard = async () => {
      done.push('discard');
    };
    return { kind: 'done', outputs: { commit, discard }, timings: {} };
  }

  it('complete a task, and the next pause is short again', async () => {
    await ends.settle(
      attemptOf('shared'),
      received(() => Promise.resolve([])),
      FIRST,
    );
    expect(done).to.deep.equal(['complete one', 'reset']);
  });

  it('discard outputs that could not be made durable, and run the task again after a pause', async () => {
    const full = () => Promise.reject(new DarkroomError('STORAGE_FULL', 'full'));
    await ends.settle(attemptOf('alone'), received(full), FIRST);
    expect(done).to.deep.equal(['discard', 'release one alone', 'pause: Server A failed while it ran a job']);
  });

  it('fail a task', async () => {
    await ends.settle(attemptOf('shared'), failed('TIMEOUT'), FIRST);
    expect(done).to.deep.equal(['fail one TIMEOUT']);
  });

  it('fail a task with IMAGE_CORRUPT when its picture cannot be decoded and the stored input is unchanged', async () => {
    await ends.settle(attemptOf('shared'), failed('IMAGE_CORRUPT'), FIRST);
    expect(done).to.deep.equal(['fail one IMAGE_CORRUPT']);
  });

  it('fail a task with SPOOL_CORRUPT when its picture cannot be decoded and the stored input has changed', async () => {
    input = Buffer.from('the pictur_');
    await ends.settle(attemptOf('shared'), failed('IMAGE_CORRUPT'), FIRST);
    expect(done).to.deep.equal(['fail one SPOOL_CORRUPT']);
  });

  it('run a task again at once, or after a pause', async () => {
    await ends.settle(attemptOf('shared'), { kind: 'canceled' }, FIRST);
    await ends.settle(attemptOf('alone', 'two'), failed('DRAINING'), FIRST);
    expect(done).to.deep.equal(['release one shared', 'release two alone', 'pause: why']);
  });

  it('make a task that crashed in the mode shared a suspect', async () => {
    await ends.settle(attemptOf('shared'), failed('WORKER_CRASHED'), FIRST);
    expect(done).to.deep.equal(['release one alone']);
  });

  it('give a strike to a task that crashed in the mode alone, and run it alone again', async () => {
    await ends.settle(attemptOf('alone'), failed('WORKER_CRASHED'), FIRST);
    expect(done).to.deep.equal(['strike one', 'put behind one']);
  });

  for (const became of ['failed', 'unchanged'] as const) {
    it(`do not run a task again when its strike made it ${became}`, async () => {
      strike = became;
      await ends.settle(attemptOf('alone'), failed('WORKER_CRASHED'), FIRST);
      expect(done).to.deep.equal(['strike one']);
    });
  }

  it('stay in doubt until an instance answers', async () => {
    await ends.settle(attemptOf('shared'), LOST, FIRST);
    expect([ends.inDoubt, done]).to.deep.equal([1, []]);
    await ends.settleDoubts(FIRST);
    expect([ends.inDoubt, done]).to.deep.equal([0, ['release one shared']]);
  });

  it('in doubt count as crashes when another instance answers', async () => {
    await ends.settle(attemptOf('shared'), LOST, FIRST);
    await ends.settle(attemptOf('alone', 'two'), LOST, FIRST);
    await ends.settleDoubts(SECOND);
    expect(done).to.have.members(['release one alone', 'strike two', 'put behind two']);
  });

  it('in doubt are no strikes when the instance was killed from outside', async () => {
    await ends.settle(attemptOf('shared'), LOST, FIRST);
    await ends.settle(attemptOf('alone', 'two'), LOST, FIRST);
    await ends.settleDoubts({ instance: 'second', ended: [{ instance: 'first', cause: 'killed' }] });
    expect(done).to.have.members(['release one alone', 'crash two', 'put behind two']);
  });

  it('that cannot be written are passed to the back-off, with the mode in which the task runs again', async () => {
    problem = new DarkroomError('STORAGE_FULL', 'full');
    expect(await codeOf(ends.settle(attemptOf('shared'), failed('TIMEOUT'), FIRST))).to.equal('STORAGE_FULL');
    await ends.settle(attemptOf('shared', 'two'), LOST, FIRST);
    expect(await codeOf(ends.settleDoubts(SECOND))).to.equal('STORAGE_FULL');
    await ends.settle(attemptOf('shared', 'three'), LOST, FIRST);
    expect(await codeOf(ends.settleDoubts(FIRST))).to.equal('STORAGE_FULL');
    expect(done).to.deep.equal(['unwritten one shared', 'unwritten two alone', 'unwritten three shared']);
  });

  it('in doubt are released when the dispatcher closes, even if one release fails', async () => {
    await ends.settle(attemptOf('shared'), LOST, FIRST);
    await ends.releaseDoubts();
    problem = new DarkroomError('STORAGE_FULL', 'full');
    await ends.releaseDoubts();
    expect(done).to.deep.equal(['release one shared']);
  });
});
