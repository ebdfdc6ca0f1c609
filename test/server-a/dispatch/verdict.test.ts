import { expect } from 'chai';
import type { JobOutcome } from '../../../server-a/dispatch/lane-client.ts';
import { type Answer, judge, type Verdict } from '../../../server-a/dispatch/verdict.ts';
import { DarkroomError, type ErrorCode } from '../../../shared/errors.ts';

function refused(code: ErrorCode): JobOutcome {
  return { kind: 'refused', error: { code, message: 'why' } };
}

function failed(code: ErrorCode): JobOutcome {
  return { kind: 'failed', error: { code, message: 'why' } };
}

function lost(isPastGo: boolean): JobOutcome {
  return { kind: 'lost', instance: 'first', isPastGo };
}

function fail(code: ErrorCode): Verdict {
  return { kind: 'fail', error: { code, message: 'why' } };
}

const FIRST: Answer = { instance: 'first', ended: [] };
/** The second instance, and how the first one ended. */
function second(cause: 'crashed' | 'killed'): Answer {
  return { instance: 'second', ended: [{ instance: 'first', cause }] };
}

const PAUSED: Verdict = { kind: 'again', pause: 'why' };
const AT_ONCE: Verdict = { kind: 'again', pause: null };
const full = new DarkroomError('STORAGE_FULL', 'full');
const damaged = new DarkroomError('SPOOL_CORRUPT', 'why');

/** The outcome, the last WELCOME, and the expected verdict. */
const CASES: Readonly<Record<string, readonly [JobOutcome, Answer | null, Verdict]>> = {
  'a refusal that is final fails the task': [refused('IMAGE_TOO_LARGE'), FIRST, fail('IMAGE_TOO_LARGE')],
  'a temporary refusal runs the task again after a pause': [refused('DRAINING'), FIRST, PAUSED],
  'a refusal with retry "yes" also runs the task again after a pause': [refused('REQUEST_TIMEOUT'), FIRST, PAUSED],
  'a failure fails the task': [failed('TIMEOUT'), FIRST, fail('TIMEOUT')],
  'a failure with retry "yes" also fails the task': [failed('SOURCE_ERROR'), FIRST, fail('SOURCE_ERROR')],
  'a failure with retry "later" runs the task again after a pause': [failed('BACKEND_UNAVAILABLE'), FIRST, PAUSED],
  'a cancel by Server B runs the task again after a pause': [failed('CANCELED'), FIRST, PAUSED],
  'a thread that died is a crash': [failed('WORKER_CRASHED'), FIRST, { kind: 'crashed', isByJob: true }],
  'a picture that cannot be decoded leads to a check of its input': [
    failed('IMAGE_CORRUPT'),
    FIRST,
    { kind: 'check-input', error: { code: 'IMAGE_CORRUPT', message: 'why' } },
  ],
  'a lane lost before GO runs the task again': [lost(false), second('crashed'), AT_ONCE],
  'a lane lost past GO is a crash by the job when its instance crashed': [
    lost(true),
    second('crashed'),
    { kind: 'crashed', isByJob: true },
  ],
  'a lane lost past GO is a crash by no job when its instance was killed': [
    lost(true),
    second('killed'),
    { kind: 'crashed', isByJob: false },
  ],
  'a lane lost past GO is a crash by no job when the next instance does not know of it': [
    lost(true),
    { instance: 'second', ended: [] },
    { kind: 'crashed', isByJob: false },
  ],
  'a lane lost past GO is a crash by the job when the next instance says nothing of ends': [
    lost(true),
    { instance: 'second' },
    { kind: 'crashed', isByJob: true },
  ],
  'a lane lost past GO is in doubt while the same instance is the last to answer': [
    lost(true),
    FIRST,
    { kind: 'doubt', instance: 'first' },
  ],
  'a lane lost past GO is in doubt before any instance has answered': [
    lost(true),
    null,
    { kind: 'doubt', instance: 'first' },
  ],
  'a damaged input fails the task': [{ kind: 'stopped', error: damaged }, FIRST, fail('SPOOL_CORRUPT')],
  'a failure of Server A, such as a full disk, stops the attempt': [
    { kind: 'stopped', error: full },
    FIRST,
    { kind: 'stopped', error: full },
  ],
  'a cancel by Server A ends the attempt': [{ kind: 'canceled' }, FIRST, AT_ONCE],
};

describe('verdict', () => {
  for (const [name, [outcome, answer, verdict]] of Object.entries(CASES)) {
    it(name, () => {
      expect(judge(outcome, answer)).to.deep.equal(verdict);
    });
  }
});
