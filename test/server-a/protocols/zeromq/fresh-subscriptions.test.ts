import { mock } from 'node:test';
import { expect } from 'chai';
import { FreshSubscriptions } from '../../../../server-a/protocols/zeromq/fresh-subscriptions.ts';

describe('fresh subscriptions', () => {
  let subscriptions: FreshSubscriptions;
  let gone: string[];

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    subscriptions = new FreshSubscriptions();
    gone = [];
  });

  afterEach(() => {
    subscriptions.close();
    mock.timers.reset();
  });

  function listArrives(name = 'list'): void {
    void subscriptions.await().then(() => gone.push(name));
  }

  /** Lets so many milliseconds pass, and gives the lists that have gone so far. */
  async function pass(milliseconds: number): Promise<string[]> {
    mock.timers.tick(milliseconds);
    await new Promise(setImmediate);
    return gone;
  }

  it('are waited for 300 ms', async () => {
    listArrives();
    expect(await pass(299)).to.deep.equal([]);
    expect(await pass(1)).to.deep.equal(['list']);
  });

  it('let a list go when all has been quiet for 100 ms', async () => {
    listArrives();
    await pass(50);
    subscriptions.arrived();
    expect(await pass(99)).to.deep.equal([]);
    expect(await pass(1)).to.deep.equal(['list']);
  });

  it('count when they came just before the list', async () => {
    subscriptions.arrived();
    listArrives();
    expect(await pass(99)).to.deep.equal([]);
    expect(await pass(1)).to.deep.equal(['list']);
  });

  it('are not believed while others come, for they do not say whose they are', async () => {
    listArrives('first');
    for (const client of ['second', 'third']) {
      subscriptions.arrived();
      await pass(90);
      listArrives(client);
    }
    expect(await pass(90)).to.deep.equal([]);
    expect(await pass(30)).to.deep.equal(['first', 'second', 'third']);
  });

  it('let everything go when they are closed', async () => {
    listArrives('a');
    listArrives('b');
    subscriptions.close();
    expect(await pass(0)).to.deep.equal(['a', 'b']);
  });
});
