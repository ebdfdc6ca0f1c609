import { mock } from 'node:test';
import { expect } from 'chai';
import { FreshSubscriptions } from '../../../../server-a/protocols/zeromq/fresh-subscriptions.ts';

describe('fresh subscriptions', () => {
  let subscriptions: FreshSubscriptions;
  let released: string[];

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    subscriptions = new FreshSubscriptions();
    released = [];
  });

  afterEach(() => {
    subscriptions.close();
    mock.timers.reset();
  });

  function listArrives(name = 'list'): void {
    void subscriptions.await().then(() => released.push(name));
  }

  /** Advances the clock by so many milliseconds, and returns the lists released so far. */
  async function pass(milliseconds: number): Promise<string[]> {
    mock.timers.tick(milliseconds);
    await new Promise(setImmediate);
    return released;
  }

  it('hold a list for 300 ms without a subscription', async () => {
    listArrives();
    expect(await pass(299)).to.deep.equal([]);
    expect(await pass(1)).to.deep.equal(['list']);
  });

  it('release a list 100 ms after the last subscription', async () => {
    listArrives();
    await pass(50);
    subscriptions.arrived();
    expect(await pass(99)).to.deep.equal([]);
    expect(await pass(1)).to.deep.equal(['list']);
  });

  it('count if they arrived just before the list', async () => {
    subscriptions.arrived();
    listArrives();
    expect(await pass(99)).to.deep.equal([]);
    expect(await pass(1)).to.deep.equal(['list']);
  });

  it('do not count while more subscriptions arrive, because they do not identify their client', async () => {
    listArrives('first');
    for (const client of ['second', 'third']) {
      subscriptions.arrived();
      await pass(90);
      listArrives(client);
    }
    expect(await pass(90)).to.deep.equal([]);
    expect(await pass(30)).to.deep.equal(['first', 'second', 'third']);
  });

  it('release every list when they are closed', async () => {
    listArrives('a');
    listArrives('b');
    subscriptions.close();
    expect(await pass(0)).to.deep.equal(['a', 'b']);
  });
});
