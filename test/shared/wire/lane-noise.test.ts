import { expect } from 'chai';
import fc from 'fast-check';
import { DarkroomError } from '../../../shared/errors.ts';
import { encodeHeader, encodeMessage } from '../../../shared/wire/frame.ts';
import { HELLO, jobOf, WELCOME } from '../../support/lane-pair.ts';
import { RecordingLane } from '../../support/recording-lane.ts';
import { goneFrom, openSocketPair } from '../../support/socket-pair.ts';

const BODY = 20;

/** Valid frames in any order, valid frames in the right order, and noise, so that every state receives noise. */
const bytes = fc
  .record({
    opening: fc.nat({ max: 3 }),
    frames: fc.array(
      fc.constantFrom(
        encodeMessage('HELLO', HELLO),
        encodeMessage('JOB', jobOf(BODY)),
        encodeHeader('CANCEL', 0),
        encodeHeader('BEAT', 0),
        Buffer.concat([encodeHeader('DATA', 7), Buffer.alloc(7)]),
        encodeMessage('DONE', { timings: {} }),
      ),
      { maxLength: 4 },
    ),
    noise: fc.uint8Array({ maxLength: 200 }),
  })
  .map(({ opening, frames, noise }) => {
    const body = Buffer.concat([encodeHeader('DATA', BODY), Buffer.alloc(BODY)]);
    const start = [encodeMessage('HELLO', HELLO), encodeMessage('JOB', jobOf(BODY)), body].slice(0, opening);
    return Buffer.concat([...start, ...frames, noise]);
  });

/** A lane of side b that answers every frame, so that it reaches as many states as the bytes allow. */
function answeringLane(socket: ConstructorParameters<typeof RecordingLane>[0]): RecordingLane {
  const b: RecordingLane = new RecordingLane(socket, 'b', {
    HELLO: () => b.lane.send('WELCOME', WELCOME),
    JOB: () => b.lane.signal('GO'),
    CANCEL: () => b.lane.send('FAIL', { code: 'CANCELED', message: 'as asked' }),
    DATA: () => {
      if (b.lane.state === 'working') b.lane.send('DONE', { timings: {} });
    },
  });
  return b;
}

describe('noise on a lane', () => {
  const strays: unknown[] = [];
  const note = (error: unknown) => {
    strays.push(error);
  };

  before(() => {
    process.on('uncaughtExceptionMonitor', note);
    process.on('unhandledRejection', note);
  });

  after(() => {
    process.off('uncaughtExceptionMonitor', note);
    process.off('unhandledRejection', note);
  });

  it('only closes the lane', async () => {
    const reached = new Set<string>();
    await fc.assert(
      fc.asyncProperty(bytes, async (sent) => {
        const { client, server } = await openSocketPair();
        const b = answeringLane(server);
        client.on('error', () => {}); // The lane may be gone while this end still writes.
        client.resume();
        const gone = Promise.all([goneFrom(server), goneFrom(client)]);
        client.end(sent);
        await gone;
        const closings = b.heard.filter((one) => one.kind === 'closed').map((one) => one.value);
        expect(closings).to.have.length(1);
        const [reason] = closings;
        if (reason !== null) expect(reason).to.be.instanceOf(DarkroomError).with.property('code', 'BAD_REQUEST');
        reached.add(b.lane.state);
      }),
      { numRuns: 60 },
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(strays).to.deep.equal([]);
    expect(reached).to.include.keys('greeting', 'idle', 'receiving');
  });
});
