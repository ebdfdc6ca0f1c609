import { expect } from 'chai';
import fc from 'fast-check';
import { Budget, type Reservation } from '../../server-b/budget.ts';
import { LARGE_JOB_BYTES } from '../../server-b/large-job.ts';
import { DarkroomError } from '../../shared/errors.ts';

const never = new AbortController().signal;
const MIB = 1024 * 1024;

/** Resolves when all promises that need no timer or I/O have settled. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
}

describe('budget', () => {
  it('grants a claim that fits at once', async () => {
    const budget = new Budget({ slots: 2, bytes: 10, threads: 2 });
    await budget.reserve({ bytes: 4, alone: false }, never);
    await budget.reserve({ bytes: 6, alone: false }, never);
    expect(budget.bytesInUse).to.equal(10);
    expect(budget.slotsInUse).to.equal(2);
  });

  it('refuses a claim above the whole budget at once', async () => {
    const budget = new Budget({ slots: 1, bytes: 10 * MIB, threads: 2 });
    const error = await budget.reserve({ bytes: 10 * MIB + 1, alone: false }, never).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(DarkroomError).with.property('code', 'IMAGE_TOO_LARGE');
  });

  it('waits for a slot even if there is enough memory', async () => {
    const budget = new Budget({ slots: 1, bytes: 10, threads: 2 });
    const first = await budget.reserve({ bytes: 1, alone: false }, never);
    let granted = false;
    const second = budget.reserve({ bytes: 1, alone: false }, never).then(() => {
      granted = true;
    });
    await settle();
    expect(granted).to.equal(false);
    first.release();
    await second;
    expect(granted).to.equal(true);
  });

  it('grants no more claims of large jobs than there are threads, and small ones beside them', async () => {
    const budget = new Budget({ slots: 5, bytes: 10 * LARGE_JOB_BYTES, threads: 2 });
    const first = await budget.reserve({ bytes: LARGE_JOB_BYTES, alone: false }, never);
    await budget.reserve({ bytes: LARGE_JOB_BYTES, alone: false }, never);
    await budget.reserve({ bytes: LARGE_JOB_BYTES - 1, alone: false }, never);
    let granted = false;
    const third = budget.reserve({ bytes: LARGE_JOB_BYTES, alone: false }, never).then(() => {
      granted = true;
    });
    await settle();
    expect(granted).to.equal(false);
    first.release();
    await third;
    expect(granted).to.equal(true);
  });

  it('does not grant a small claim before a large one that came first', async () => {
    const budget = new Budget({ slots: 4, bytes: 10, threads: 2 });
    const order: string[] = [];
    const running = await budget.reserve({ bytes: 5, alone: false }, never);
    const big = budget.reserve({ bytes: 8, alone: false }, never).then((held) => {
      order.push('big');
      return held;
    });
    const small = budget.reserve({ bytes: 3, alone: false }, never).then(() => order.push('small'));
    await settle();
    expect(order).to.deep.equal([]);
    running.release();
    (await big).release();
    await small;
    expect(order).to.deep.equal(['big', 'small']);
  });

  it('grants the next claim when the first in the queue is canceled', async () => {
    const budget = new Budget({ slots: 4, bytes: 10, threads: 2 });
    await budget.reserve({ bytes: 5, alone: false }, never);
    const leaving = new AbortController();
    const big = budget.reserve({ bytes: 8, alone: false }, leaving.signal).catch((reason: unknown) => reason);
    const small = budget.reserve({ bytes: 3, alone: false }, never);
    leaving.abort(new Error('gone'));
    expect(await big).to.have.property('message', 'gone');
    await small;
    expect(budget.bytesInUse).to.equal(8);
  });

  it('reserves every slot for a job that must be alone, and grants no other claim meanwhile', async () => {
    const budget = new Budget({ slots: 3, bytes: 10, threads: 2 });
    const first = await budget.reserve({ bytes: 1, alone: false }, never);
    let aloneGranted = false;
    const alone = budget.reserve({ bytes: 1, alone: true }, never).then((held) => {
      aloneGranted = true;
      return held;
    });
    await settle();
    expect(aloneGranted).to.equal(false);
    first.release();
    const held = await alone;
    let otherGranted = false;
    const other = budget.reserve({ bytes: 1, alone: false }, never).then(() => {
      otherGranted = true;
    });
    await settle();
    expect(otherGranted).to.equal(false);
    held.release();
    await other;
  });

  it('frees slot and memory only once, even if released twice', async () => {
    const budget = new Budget({ slots: 2, bytes: 10, threads: 2 });
    const held = await budget.reserve({ bytes: 4, alone: false }, never);
    await budget.reserve({ bytes: 4, alone: false }, never);
    held.release();
    held.release();
    expect(budget.bytesInUse).to.equal(4);
    expect(budget.slotsInUse).to.equal(1);
  });

  it('never grants more than it has, and grants every claim in the end', async () => {
    const claims = fc.array(
      fc.record({ bytes: fc.integer({ min: 1, max: 10 }), alone: fc.boolean(), leaves: fc.boolean() }),
      { minLength: 1, maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(claims, async (list) => {
        const budget = new Budget({ slots: 3, bytes: 10, threads: 2 });
        const held: Reservation[] = [];
        let granted = 0;
        for (const { bytes, alone, leaves } of list) {
          const leaving = new AbortController();
          budget.reserve({ bytes, alone }, leaving.signal).then(
            (reservation) => {
              granted += 1;
              held.push(reservation);
            },
            () => {
              granted += 1;
            },
          );
          if (leaves) leaving.abort();
          await settle();
          expect(budget.bytesInUse).to.be.at.most(10);
          expect(budget.slotsInUse).to.be.at.most(3);
        }
        for (let turn = 0; turn < list.length; turn += 1) {
          held.shift()?.release();
          await settle();
        }
        for (const reservation of held) reservation.release();
        expect(granted).to.equal(list.length);
        expect(budget.bytesInUse).to.equal(0);
      }),
    );
  });
});
