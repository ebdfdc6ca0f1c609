import { expect } from 'chai';
import type { JobOutcome } from '../../../server-a/dispatch/lane-client.ts';
import { judge, type Verdict } from '../../../server-a/dispatch/verdict.ts';
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

const PAUSED: Verdict = { kind: 'again', pause: 'why' };
const AT_ONCE: Verdict = { kind: 'again', pause: null };
const full = new DarkroomError('STORAGE_FULL', 'full');
const damaged = new DarkroomError('SPOOL_CORRUPT', 'why');

/** The outcome, the instance that answered last, and the expected verdict. */
const CASES: Readonly<Record<string, readonly [JobOutcome, string | null, Verdict]>> = {
  'a refusal that is final fails the task': [refused('IMAGE_TOO_LARGE'), 'first', fail('IMAGE_TOO_LARGE')],
  'a temporary refusal runs the task again after a pause': [refused('DRAINING'), 'first', PAUSED],
  'a refusal with retry "yes" also runs the task again after a pause': [refused('REQUEST_TIMEOUT'), 'first', PAUSED],
  'a failure fails the task': [failed('TIMEOUT'), 'first', fail('TIMEOUT')],
  'a failure with retry "yes" also fails the task': [failed('SOURCE_ERROR'), 'first', fail('SOURCE_ERROR')],
  'a failure with retry "later" runs the task again after a pause': [failed('BACKEND_UNAVAILABLE'), 'first', PAUSED],
  'a cancel by Server B runs the task again after a pause': [failed('CANCELED'), 'first', PAUSED],
  'a thread that died is a crash': [failed('WORKER_CRASHED'), 'first', { kind: 'crashed' }],
  'a picture that cannot be decoded leads to a check of its input': [
    failed('IMAGE_CORRUPT'),
    'first',
    { kind: 'check-input', error: { code: 'IMAGE_CORRUPT', message: 'why' } },
  ],
  'a lane lost before GO runs the task again': [lost(false), 'second', AT_ONCE],
  'a lane lost past GO is a crash when another instance answered': [lost(true), 'second', { kind: 'crashed' }],
  'a lane lost past GO is in doubt while the same instance is the last to answer': [
    lost(true),
    'first',
    { kind: 'doubt', instance: 'first' },
  ],
  'a lane lost past GO is in doubt before any instance has answered': [
    lost(true),
    null,
    { kind: 'doubt', instance: 'first' },
  ],
  'a damaged input fails the task': [{ kind: 'stopped', error: damaged }, 'first', fail('SPOOL_CORRUPT')],
  'a failure of Server A, such as a full disk, stops the attempt': [
    { kind: 'stopped', error: full },
    'first',
    { kind: 'stopped', error: full },
  ],
  'a cancel by Server A ends the attempt': [{ kind: 'canceled' }, 'first', AT_ONCE],
};

describe('verdict', () => {
  for (const [name, [outcome, instance, verdict]] of Object.entries(CASES)) {
    it(name, () => {
      expect(judge(outcome, instance)).to.deep.equal(verdict);
    });
  }
});
