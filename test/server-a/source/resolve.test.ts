import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { inTurn, resolve } from '../../../server-a/source/resolve.ts';

describe('resolve', () => {
  const { signal } = new AbortController();
  const lookup = (hostname: string) => inTurn(signal, () => resolve(hostname));

  it('gives every address that the system knows, also to those that had to wait', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => lookup('localhost')));
    for (const addresses of answers) expect(addresses.map(({ address }) => address)).to.include('127.0.0.1');
    expect(getEventListeners(signal, 'abort')).to.have.length(0);
  });

  it('rejects as the system does, and lets the next one in', async () => {
    const lookups = Array.from({ length: 5 }, () => lookup('no.such.name.invalid').catch((error) => error.code));
    for (const code of await Promise.all(lookups)) expect(code).to.be.oneOf(['ENOTFOUND', 'EAI_AGAIN']);
    expect(await lookup('localhost')).not.to.have.length(0);
  });

  it('lets those that wait give up', async () => {
    const controller = new AbortController();
    const first = [lookup('localhost'), lookup('localhost')];
    const waiting = inTurn(controller.signal, () => resolve('localhost')).catch((error: unknown) => error);
    const reason = new Error('no longer wanted');
    controller.abort(reason);
    expect(await waiting).to.equal(reason);
    await Promise.all(first);
    expect(await lookup('localhost')).not.to.have.length(0);
  });
});
