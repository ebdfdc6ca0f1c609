import { expect } from 'chai';
import type { Turn } from '../../../server-a/dispatch/attempt.ts';
import type { QueuedTask } from '../../../server-a/dispatch/contract.ts';
import { type Load, Schedule } from '../../../server-a/dispatch/schedule.ts';
import { jobOf } from './support.ts';

const IDLE: Load = { running: 0, inDoubt: 0, openLanes: 2 };

function scheduleOf(waiting: readonly QueuedTask[], isReleased = true): Schedule {
  return new Schedule({ waiting: () => [...waiting], release: () => Promise.resolve(isReleased) });
}

/** Ordinary tasks, oldest first. */
function ordinary(...ids: string[]): QueuedTask[] {
  return ids.map((id) => ({ id, suspect: false }));
}

function suspects(...ids: string[]): QueuedTask[] {
  return ids.map((id) => ({ id, suspect: true }));
}

/** Every task that may start under the same load, one after the other. */
function drain(schedule: Schedule, load: Load): string[] {
  const turns: Turn[] = [];
  for (let turn = schedule.next(load); turn !== undefined; turn = schedule.next(load)) turns.push(turn);
  return turns.map(({ id, mode }) => `${id} ${mode}`);
}

describe('schedule', () => {
  it('starts the oldest task first', () => {
    const schedule = scheduleOf(ordinary('one', 'two'));
    schedule.add({ id: 'three', mode: 'shared' });
    expect(drain(schedule, IDLE)).to.deep.equal(['one shared', 'two shared', 'three shared']);
  });

  it('starts a task that was put back before tasks that have not had a turn', () => {
    const schedule = scheduleOf(ordinary('one', 'two'));
    expect(schedule.next(IDLE)?.id).to.equal('one');
    schedule.putBack({ id: 'one', mode: 'shared' });
    expect(drain(schedule, IDLE)).to.deep.equal(['one shared', 'two shared']);
  });

  it('does not start a task that was removed', () => {
    const schedule = scheduleOf([...ordinary('one', 'two'), ...suspects('three')]);
    schedule.remove('one');
    schedule.putBehind('four');
    schedule.remove('three');
    schedule.remove('four');
    expect(drain(schedule, IDLE)).to.deep.equal(['two shared']);
  });

  it('runs two tasks for each open lane, and none without a lane', () => {
    const schedule = scheduleOf(ordinary('one', 'two'));
    expect(schedule.next({ ...IDLE, openLanes: 0 })).to.equal(undefined);
    expect(schedule.next({ ...IDLE, running: 4 })).to.equal(undefined);
    expect(schedule.next({ ...IDLE, running: 3 })?.id).to.equal('one');
  });

  it('starts suspects before all others', () => {
    const schedule = scheduleOf([...ordinary('one'), ...suspects('two', 'three')]);
    expect(drain(schedule, IDLE)).to.deep.equal(['two alone', 'three alone', 'one shared']);
  });

  it('starts nothing while a suspect waits for others to end', () => {
    const schedule = scheduleOf([...ordinary('one'), ...suspects('two')]);
    expect(schedule.next({ ...IDLE, running: 1 })).to.equal(undefined);
    expect(schedule.next({ ...IDLE, inDoubt: 1 })).to.equal(undefined);
    expect(schedule.next(IDLE)?.id).to.equal('two');
  });

  it('starts a suspect that has crashed behind the tasks that waited by then, and before later ones', () => {
    const schedule = scheduleOf([...ordinary('one'), ...suspects('two', 'three')]);
    expect(schedule.next(IDLE)?.id).to.equal('two');
    schedule.putBehind('two');
    schedule.add({ id: 'four', mode: 'shared' });
    expect(schedule.next({ ...IDLE, running: 1 })).to.equal(undefined);
    expect(drain(schedule, IDLE)).to.deep.equal(['three alone', 'one shared', 'two alone', 'four shared']);
    expect(schedule.hasSuspects).to.equal(false);
  });

  describe('with a Server B for suspects', () => {
    it('starts no suspect on the other, and no ordinary task on this one', () => {
      const schedule = scheduleOf([...ordinary('one'), ...suspects('two', 'three')]);
      expect(schedule.nextOrdinary({ ...IDLE, running: 1 })).to.deep.equal({ id: 'one', mode: 'shared' });
      expect(schedule.nextOrdinary(IDLE)).to.equal(undefined);
      expect(schedule.nextSuspect({ ...IDLE, running: 1 })).to.equal(undefined);
      expect(schedule.nextSuspect(IDLE)).to.deep.equal({ id: 'two', mode: 'alone' });
    });

    it('starts a suspect that has crashed after all that have not', () => {
      const schedule = scheduleOf(suspects('one', 'two'));
      schedule.putBehind(schedule.nextSuspect(IDLE)?.id ?? '');
      expect([schedule.nextSuspect(IDLE)?.id, schedule.nextSuspect(IDLE)?.id]).to.deep.equal(['two', 'one']);
    });
  });

  it('starts ordinary tasks while a job is in doubt', () => {
    expect(scheduleOf(ordinary('one')).next({ ...IDLE, inDoubt: 1 })?.id).to.equal('one');
  });

  it('puts a released task back in the mode given', async () => {
    const schedule = scheduleOf([]);
    await schedule.release(jobOf('one'), 'alone');
    expect(drain(schedule, IDLE)).to.deep.equal(['one alone']);
  });

  it('does not put back a task whose attempt is no longer current', async () => {
    const schedule = scheduleOf([], false);
    await schedule.release(jobOf('one'), 'shared');
    expect(drain(schedule, IDLE)).to.deep.equal([]);
  });
});
