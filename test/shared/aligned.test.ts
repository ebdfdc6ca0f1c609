import { expect } from 'chai';
import { AlignedInterval, untilAligned } from '../../shared/aligned.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('untilAligned', () => {
  it('ends at a multiple of the period', () => {
    expect(untilAligned(10_300, 1000)).to.equal(700);
    expect(untilAligned(10_000, 1000)).to.equal(1000);
  });

  it('skips a multiple that is less than half a period ahead, so that a timer that fires early does not fire twice', () => {
    expect(untilAligned(10_999, 1000)).to.equal(1001);
  });
});

describe('AlignedInterval', () => {
  /** The moments of the calls within `milliseconds`, of an interval of 1000 ms that starts at `start`. */
  function callsOf(start: number, milliseconds: number): number[] {
    const clock = new ManualClock();
    clock.advance(start);
    const calls: number[] = [];
    const interval = new AlignedInterval(clock, 1000, () => calls.push(clock.now()));
    clock.advance(milliseconds);
    interval.stop();
    clock.advance(10_000);
    return calls;
  }

  it('calls back at multiples of its period, whenever it was started, until it is stopped', () => {
    expect(callsOf(300, 3000)).to.deep.equal([1000, 2000, 3000]);
    expect(callsOf(400, 2600)).to.deep.equal([1000, 2000, 3000]);
  });

  it('can be stopped by its own callback', () => {
    const clock = new ManualClock();
    let calls = 0;
    const interval = new AlignedInterval(clock, 1000, () => {
      calls += 1;
      interval.stop();
    });
    clock.advance(5000);
    expect(calls).to.equal(1);
  });
});
