import { expect } from 'chai';
import { RequestQueue } from '../../../../server-a/protocols/zeromq/request-queue.ts';
import { codeOf } from '../../tasks/support.ts';

const nothing = async () => undefined;

describe('request queue', () => {
  /** Work that lasts until the test ends it. */
  function held(): { work: () => Promise<void>; end: () => void } {
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    return { work: () => ended, end };
  }

  it('runs requests of one client in order, and those of different clients at the same time', async () => {
    const queue = new RequestQueue(100);
    const done: string[] = [];
    const first = held();
    queue.add('a', 1, () => first.work().then(() => void done.push('a1')));
    queue.add('a', 1, async () => void done.push('a2'));
    queue.add('b', 1, async () => void done.push('b1'));
    await new Promise(setImmediate);
    expect(done).to.deep.equal(['b1']);
    first.end();
    await queue.idle();
    expect(done).to.deep.equal(['b1', 'a1', 'a2']);
  });

  it('refuses the ninth request of one client, and accepts one of another client', async () => {
    const queue = new RequestQueue(100);
    const { work, end } = held();
    for (let count = 0; count < 8; count += 1) queue.add('a', 1, work);
    expect(await codeOf(() => queue.add('a', 1, nothing))).to.equal('QUEUE_FULL');
    expect(await codeOf(() => queue.add('b', 1, nothing))).to.equal('none');
    end();
    await queue.idle();
    expect(await codeOf(() => queue.add('a', 1, nothing))).to.equal('none');
  });

  it('refuses requests beyond its limit of bytes until there is room', async () => {
    const queue = new RequestQueue(100);
    const { work, end } = held();
    queue.add('a', 60, work);
    expect(await codeOf(() => queue.add('b', 41, nothing))).to.equal('QUEUE_FULL');
    queue.add('b', 40, nothing);
    end();
    await queue.idle();
    expect(await codeOf(() => queue.add('b', 100, nothing))).to.equal('none');
  });

  it('refuses request 1001', async () => {
    const queue = new RequestQueue(10_000);
    const { work, end } = held();
    for (let count = 0; count < 1000; count += 1) queue.add(`client ${count}`, 1, work);
    expect(await codeOf(() => queue.add('one more', 1, nothing))).to.equal('QUEUE_FULL');
    end();
    await queue.idle();
  });
});
