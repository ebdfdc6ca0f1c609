import { expect } from 'chai';
import { BackOff } from '../../../server-a/dispatch/back-off.ts';
import { createLogger } from '../../../shared/log.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { jobOf } from './support.ts';

/** Resolves when all promises that need no timer or I/O have settled. */
const settled = () => new Promise(setImmediate);

describe('back-off', () => {
  let clock: ManualClock;
  let backOff: BackOff;
  let resumed: number;
  /** The released jobs, and how many more releases will fail. */
  let released: string[];
  let failures: number;

  beforeEach(() => {
    clock = new ManualClock();
    resumed = 0;
    released = [];
    failures = 0;
    backOff = new BackOff({
      schedule: {
        release: async ({ id }, mode) => {
          failures -= 1;
          if (failures >= 0) throw new Error('no room');
          released.push(`${id} ${mode}`);
        },
      },
      log: createLogger('test', 'silent'),
      clock,
      resumed: () => {
        resumed += 1;
      },
    });
  });

  /** Runs one pause of so many milliseconds to its end. */
  async function expectPause(milliseconds: number): Promise<void> {
    clock.advance(milliseconds - 1);
    expect(backOff.isPaused).to.equal(true);
    clock.advance(1);
    await settled();
  }

  function failToRecord(id: string, mode: 'shared' | 'alone'): Promise<string> {
    return backOff
      .record(jobOf(id), mode, () => Promise.reject(new Error('no room')))
      .then(
        () => 'recorded',
        (error) => String(error),
      );
  }

  it('resumes after the pause', async () => {
    backOff.pause('full');
    await expectPause(500);
    expect(backOff.isPaused).to.equal(false);
    expect(resumed).to.equal(1);
  });

  it('pauses twice as long each time, up to 15 s', async () => {
    for (const milliseconds of [500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
      backOff.pause('full');
      await expectPause(milliseconds);
    }
  });

  it('starts with a short pause after a reset', async () => {
    backOff.pause('full');
    await expectPause(500);
    backOff.reset();
    backOff.pause('full');
    await expectPause(500);
    expect(resumed).to.equal(2);
  });

  it('does not extend the current pause', async () => {
    backOff.pause('full');
    backOff.pause('full');
    await expectPause(500);
    backOff.pause('full');
    await expectPause(1000);
    expect(resumed).to.equal(2);
  });

  it('rejects if the write rejects, and releases the job once, after the pause', async () => {
    expect(await failToRecord('one', 'alone')).to.equal('Error: no room');
    expect(await failToRecord('two', 'shared')).to.equal('Error: no room');
    for (const milliseconds of [500, 1000]) {
      backOff.pause('full');
      await expectPause(milliseconds);
      expect(released).to.deep.equal(['one alone', 'two shared']);
    }
  });

  it('does not release a job whose outcome was written', async () => {
    await backOff.record(jobOf('one'), 'shared', () => Promise.resolve());
    backOff.pause('full');
    await expectPause(500);
    expect(released).to.deep.equal([]);
  });

  it('pauses again when a job still cannot be released', async () => {
    failures = 1;
    await failToRecord('one', 'shared');
    backOff.pause('full');
    await expectPause(500);
    expect(released).to.deep.equal([]);
    await expectPause(1000);
    expect(released).to.deep.equal(['one shared']);
    expect(backOff.isPaused).to.equal(false);
  });

  it('neither resumes nor pauses after it is closed', async () => {
    backOff.pause('full');
    backOff.close();
    clock.advance(60_000);
    await settled();
    expect(resumed).to.equal(0);
    expect(clock.has(500)).to.equal(false);
  });

  it('ignores a pause after it is closed', () => {
    backOff.close();
    backOff.pause('full');
    expect(clock.has(500)).to.equal(false);
  });
});
