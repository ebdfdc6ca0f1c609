import { expect } from 'chai';
import { Semaphore } from '../../shared/semaphore.ts';

describe('semaphore', () => {
  it('hands out its permits, then makes callers wait, first come first served', async () => {
    const semaphore = new Semaphore(2);
    const order: number[] = [];
    await semaphore.acquire();
    await semaphore.acquire();
    const waiting = [1, 2, 3].map(async (caller) => {
      await semaphore.acquire();
      order.push(caller);
      semaphore.release();
    });
    expect(order).to.deep.equal([]);
    semaphore.release();
    await Promise.all(waiting);
    expect(order).to.deep.equal([1, 2, 3]);
  });

  it('removes a caller from the queue, without a permit, when its signal aborts', async () => {
    const semaphore = new Semaphore(1);
    await semaphore.acquire();
    const leaving = new AbortController();
    const left = semaphore.acquire(leaving.signal);
    const next = semaphore.acquire();
    leaving.abort();
    expect(await left).to.equal(false);
    expect(await semaphore.acquire(leaving.signal)).to.equal(false);
    semaphore.release();
    expect(await next).to.equal(true);
  });

  it('releases the permit when the work fails', async () => {
    const semaphore = new Semaphore(1);
    const failure = await semaphore.use(() => Promise.reject(new Error('no'))).catch((error: unknown) => error);
    expect(failure).to.have.property('message', 'no');
    expect(await semaphore.use(async () => 7)).to.equal(7);
  });
});
