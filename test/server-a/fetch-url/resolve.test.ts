import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { type Resolve, resolve, resolveInTurn } from '../../../server-a/fetch-url/resolve.ts';

describe('resolve', () => {
  const { signal } = new AbortController();
  const nothing = () => undefined;
  const lookup = (hostname: string) => resolveInTurn(hostname, resolve, signal, nothing);

  /** A resolver that records names. It answers, without an address, when the test releases it. */
  function silent(): { ask: Resolve; asked: string[]; answer: () => void } {
    const asked: string[] = [];
    const ends: (() => void)[] = [];
    const ask: Resolve = (hostname) => {
      asked.push(hostname);
      return new Promise((end) => ends.push(() => end([])));
    };
    const answer = () => {
      for (const end of ends.splice(0)) end();
    };
    return { ask, asked, answer };
  }

  it('returns all addresses of the system to every caller', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => lookup('localhost')));
    for (const addresses of answers) expect(addresses.map(({ address }) => address)).to.include('127.0.0.1');
    expect(getEventListeners(signal, 'abort')).to.have.length(0);
  });

  it('rejects like the system, and starts the next lookup', async () => {
    const names = Array.from({ length: 5 }, (_, index) => `no.such.name-${index}.invalid`);
    const codes = await Promise.all(names.map((name) => lookup(name).catch((error) => error.code)));
    for (const code of codes) expect(code).to.be.oneOf(['ENOTFOUND', 'EAI_AGAIN']);
    expect(await lookup('localhost')).not.to.have.length(0);
  });

  it('runs two lookups at once, and one lookup for many calls with the same name', async () => {
    const { ask, asked, answer } = silent();
    let begun = 0;
    const seek = (name: string) => resolveInTurn(name, ask, signal, () => (begun += 1));
    const answers = ['a', 'b', 'a', 'c', 'b', 'd'].map(seek);
    await turn();
    expect([asked, begun]).to.deep.equal([['a', 'b'], 4]);
    answer();
    await turn();
    expect([asked, begun]).to.deep.equal([['a', 'b', 'c', 'd'], 6]);
    answer();
    await Promise.all(answers);
  });

  it('rejects waiting calls when their signal aborts', async () => {
    const { ask, asked, answer } = silent();
    const controller = new AbortController();
    const first = ['a', 'b'].map((name) => resolveInTurn(name, ask, controller.signal, nothing));
    await turn();
    const waiting = resolveInTurn('c', ask, controller.signal, nothing).catch((error: unknown) => error);
    const reason = new Error('no longer wanted');
    controller.abort(reason);
    expect(await waiting).to.equal(reason);
    answer();
    await Promise.all(first);
    expect(asked).to.deep.equal(['a', 'b']);
    expect(await lookup('localhost')).not.to.have.length(0);
  });
});
