import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { PausableTimer } from '../../../server-a/fetch-url/pausable-timer.ts';

describe('pausable timer', () => {
  let ups: number;

  beforeEach(() => {
    ups = 0;
  });

  const start = (milliseconds: number) =>
    new PausableTimer(milliseconds, () => {
      ups += 1;
    });

  it('fires once', async () => {
    start(5);
    await sleep(60);
    expect(ups).to.equal(1);
  });

  it('does not fire during a pause, and fires after it is resumed', async () => {
    const timer = start(30);
    timer.pause();
    timer.pause();
    await sleep(90);
    expect(ups).to.equal(0);
    timer.resume();
    timer.resume();
    await sleep(90);
    expect(ups).to.equal(1);
  });
});
