import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { resolve } from '../../../server-a/source/resolve.ts';

describe('resolve', () => {
  it('gives every address that the system knows, also to those that had to wait', async () => {
    const { signal } = new AbortController();
    const answers = await Promise.all(Array.from({ length: 10 }, () => resolve('localhost', signal)));
    for (const addresses of answers) expect(addresses.map(({ address }) => address)).to.include('127.0.0.1');
    expect(getEventListeners(signal, 'abort')).to.have.length(0);
  });

  it('rejects as the system does, and lets the next one in', async () => {
    const { signal } = new AbortController();
    const lookups = Array.from({ length: 5 }, () =>
      resolve('no.such.name.invalid', signal).catch((error) => error.code),
    );
    for (const code of await Promise.all(lookups)) expect(code).to.be.oneOf(['ENOTFOUND', 'EAI_AGAIN']);
    expect(await resolve('localhost', signal)).not.to.have.length(0);
  });

  it('lets those that wait give up', async () => {
    const controller = new AbortController();
    const first = [resolve('localhost', controller.signal), resolve('localhost', controller.signal)];
    const waiting = resolve('localhost', controller.signal).catch((error: unknown) => error);
    const reason = new Error('no longer wanted');
    controller.abort(reason);
    expect(await waiting).to.equal(reason);
    await Promise.all(first);
    expect(await resolve('localhost', new AbortController().signal)).not.to.have.length(0);
  });
});
