import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { SHARED_BYTES } from '../../../server-b/job.ts';

const thread = fileURLToPath(new URL('../../support/libvips-thread.js', import.meta.url));

async function startThread(state: SharedArrayBuffer): Promise<unknown> {
  const worker = new Worker(thread, { workerData: state });
  const ended = once(worker, 'exit');
  const [told] = await once(worker, 'message');
  await ended;
  return told;
}

describe('setUpLibvips', () => {
  it('leaves libvips without a cache, although each thread that loads sharp turns it on again', async () => {
    const state = new SharedArrayBuffer(SHARED_BYTES);
    expect(await startThread(state)).to.deep.equal({ cachedItems: 0, threads: 1 });
    expect(await startThread(state)).to.deep.equal({ cachedItems: 0, threads: 1 });
  });
});
