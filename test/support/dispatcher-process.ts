/** The program of trace.test.ts: one task crashes in the mode shared, then completes in the mode alone. */
import { EventEmitter, once } from 'node:events';
import type { TaskRecords } from '../../server-a/dispatch/contract.ts';
import { Dispatcher } from '../../server-a/dispatch/dispatcher.ts';
import { createLogger } from '../../shared/log.ts';
import { jobOf } from '../server-a/dispatch/support.ts';
import { FakeServerB, welcome } from './fake-server-b.ts';

const BODY = Buffer.from('x');
const events = new EventEmitter();
let attempt = 0;

const records: TaskRecords = {
  waiting: () => [{ id: 'V1StGXR8_Z5jdHi6B-myT', suspect: false }],
  begin: async (id) => {
    attempt += 1;
    return jobOf(id, { attempt, bytes: BODY.length });
  },
  readInput: async function* () {
    yield BODY;
  },
  createOutput: () => Promise.reject(new Error('Expected no output, received one')),
  complete: async () => {
    // After this turn of the event loop the task no longer runs.
    setImmediate(() => events.emit('completed'));
    return true;
  },
  fail: async () => true,
  release: async () => true,
  crashedAlone: async () => 'unchanged',
};

const fake = await FakeServerB.open(({ wire }) => ({
  HELLO: () => wire.send('WELCOME', welcome()),
  JOB: () => wire.signal('GO'),
  DATA: () => {
    if (attempt === 1) wire.send('FAIL', { code: 'WORKER_CRASHED', message: 'the thread ended' });
    else wire.send('DONE', { timings: {} });
  },
}));
const log = createLogger('test', 'silent');
const completed = once(events, 'completed');
const dispatcher = new Dispatcher({ records, backend: fake, token: undefined, deadlineMs: 5000, log });
await completed;
await dispatcher.close(5000);
await fake.close();
