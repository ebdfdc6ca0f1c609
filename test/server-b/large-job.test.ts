import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';

const thread = fileURLToPath(new URL('../support/collecting-thread.js', import.meta.url));

/** Whether a thread's dead body is still in memory after a job with an input of so many pixels a side. */
async function keepsBody(side: number): Promise<unknown> {
  // As instance-process.ts does by an argument: threads that start from now on have `gc`.
  setFlagsFromString('--expose-gc');
  const worker = new Worker(thread, { workerData: side });
  const ended = once(worker, 'exit');
  const [told] = await once(worker, 'message');
  await ended;
  setFlagsFromString('--no-expose-gc');
  return told;
}

describe('collectAfter', () => {
  it('frees the body after a large job', async () => {
    expect(await keepsBody(9000)).to.equal(false);
  });

  it('leaves a small job to the garbage collector', async () => {
    expect(await keepsBody(900)).to.equal(true);
  });
});
