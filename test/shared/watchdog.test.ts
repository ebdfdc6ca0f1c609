import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { SYSTEM_CLOCK } from '../../shared/clock.ts';
import { Watchdog } from '../../shared/watchdog.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** Blocks this thread, as a long garbage collection does; as after a suspend, all timers are late then. */
function stall(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Lets the immediates run in which a watchdog expires. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

describe('watchdog', () => {
  let clock: ManualClock;
  let watchdog: Watchdog;
  let expiries: number;

  beforeEach(() => {
    clock = new ManualClock();
    expiries = 0;
    start();
  });

  afterEach(() => watchdog.stop());

  function start(onClock: ManualClock | typeof SYSTEM_CLOCK = clock, milliseconds = 600): void {
    watchdog = new Watchdog(onClock, milliseconds, () => {
      expiries += 1;
    });
  }

  async function expectExpiryAfter(milliseconds: number): Promise<void> {
    const before = expiries;
    clock.advance(milliseconds - 1);
    await settled();
    expect(expiries).to.equal(before);
    clock.advance(1);
    await settled();
    expect(expiries).to.equal(before + 1);
  }

  it('expires once, after its time', async () => {
    await expectExpiryAfter(600);
    clock.advance(6000);
    await settled();
    expect(expiries).to.equal(1);
  });

  it('counts from the beginning when it is fed, also after it has expired', async () => {
    clock.advance(599);
    watchdog.feed();
    await expectExpiryAfter(600);
    watchdog.feed();
    await expectExpiryAfter(600);
  });

  it('does not count while it is paused, and goes on with the time that was left', async () => {
    for (let pause = 1; pause <= 5; pause += 1) {
      clock.advance(110);
      watchdog.pause();
      watchdog.pause();
      clock.advance(6000);
      watchdog.resume();
      watchdog.resume();
    }
    await expectExpiryAfter(50);
  });

  it('never expires after it was stopped', async () => {
    clock.advance(599);
    watchdog.stop();
    watchdog.feed();
    watchdog.resume();
    clock.advance(6000);
    await settled();
    expect(expiries).to.equal(0);
  });

  it('does not expire when it is fed by what the event loop reads after the last part', async () => {
    clock.advance(600);
    watchdog.feed();
    await settled();
    expect(expiries).to.equal(0);
  });

  describe('on the clock of the system', () => {
    let child: ChildProcess;

    afterEach(() => {
      child?.kill('SIGKILL');
    });

    it('counts a stall of this process as one part, and says how long it was', async () => {
      start(SYSTEM_CLOCK, 300);
      stall(1000);
      await sleep(0);
      await settled();
      expect(expiries).to.equal(0);
      expect(watchdog.longestStallMs).to.be.at.least(900);
    });

    it('is fed by what came during a stall before it can expire', async () => {
      const written = join(await mkdtemp(join(tmpdir(), 'darkroom-watchdog-')), 'written');
      const beat = `process.stdin.on('data', () => { fs.writeSync(1, 'beat'); fs.writeFileSync('${written}', ''); })`;
      child = spawn(process.execPath, ['-e', beat], { stdio: ['pipe', 'pipe', 'inherit'] });
      const { stdin, stdout } = child;
      if (stdin === null || stdout === null) throw new Error('Expected pipes to the child');
      const heard = once(stdout, 'data').then(() => watchdog.feed());
      stdin.write('x');
      // This timer is late, like all timers after a stall. The beat is there by then, but not read yet.
      setTimeout(() => clock.advance(600), 0);
      while (!existsSync(written)) stall(10);
      await heard;
      await settled();
      expect(expiries).to.equal(0);
      await rm(dirname(written), { recursive: true });
    });
  });
});
