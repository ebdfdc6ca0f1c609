import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { DarkroomError } from '../../../shared/errors.ts';
import { encodeHeader, encodeMessage, MAX_DATA_BYTES } from '../../../shared/wire/frame.ts';
import type { Lane } from '../../../shared/wire/lane.ts';
import { HELLO, jobOf, LanePair, pictureOf, WELCOME } from '../../support/lane-pair.ts';
import { RecordedDecoder } from '../../support/recorded-frames.ts';
import { RecordingLane } from '../../support/recording-lane.ts';
import { goneFrom, openSocketPair, type SocketPair } from '../../support/socket-pair.ts';

/** Two and a half frames. */
const BODY = randomBytes(2.5 * MAX_DATA_BYTES);

describe('a job on a lane', () => {
  describe('between two lanes', () => {
    let pair: LanePair;

    beforeEach(async () => {
      pair = await LanePair.open();
      await pair.greet();
    });

    afterEach(() => pair.close());

    it('sends the body to B, and a picture, labels, a failure and the timings back', async () => {
      const { a, b } = pair;
      await pair.begin(BODY.length);
      await Promise.all([a.lane.sendData(BODY), b.until(() => b.lane.state === 'working')]);
      expect(a.lane.state).to.equal('working');
      expect(b.data.equals(BODY)).to.equal(true);

      const picture = BODY.subarray(0, 1.2 * MAX_DATA_BYTES);
      const failure = { code: 'TIMEOUT', message: 'over' } as const;
      b.lane.send('OUTPUT', pictureOf(picture.length));
      await Promise.all([b.lane.sendData(picture), a.until(() => a.data.length === picture.length)]);
      const data = { model: 'tiny', labels: [] };
      b.lane.send('OUTPUT', { kind: 'data', name: 'classify', operation: 'classify', data });
      b.lane.send('OUTPUT', { kind: 'failure', name: 'circle', operation: 'circle', error: failure });
      b.lane.send('DONE', { timings: { decode_ms: 9 } });
      await a.hears('DONE');

      expect(a.data.equals(picture)).to.equal(true);
      expect(a.kinds).to.deep.equal(['WELCOME', 'GO', 'OUTPUT', 'OUTPUT', 'OUTPUT', 'DONE']);
      expect(a.last('OUTPUT')).to.deep.equal({
        kind: 'failure',
        name: 'circle',
        operation: 'circle',
        error: failure,
      });
      expect(a.last('DONE')).to.deep.equal({ timings: { decode_ms: 9 } });
      expect(b.last('JOB')).to.deep.equal(jobOf(BODY.length));
      expect([a.lane.state, b.lane.state]).to.deep.equal(['idle', 'idle']);
    });

    it('leaves the lane ready for the next job', async () => {
      const { a, b } = pair;
      for (const nth of [1, 2, 3]) {
        await pair.begin(10, nth);
        await Promise.all([a.lane.sendData(BODY.subarray(0, 10)), b.until(() => b.lane.state === 'working')]);
        b.lane.send('DONE', { timings: {} });
        await a.hears('DONE', nth);
      }
      expect(b.data).to.have.length(30);
    });

    it('counts the remaining bytes of the body', async () => {
      await pair.begin(10);
      await Promise.all([pair.a.lane.sendData(BODY.subarray(0, 4)), pair.b.until(() => pair.b.data.length === 4)]);
      expect([pair.a.lane.left, pair.b.lane.left]).to.deep.equal([6, 6]);
    });

    it('that is refused leaves both sides idle', async () => {
      pair.a.lane.send('JOB', jobOf(10));
      await pair.b.hears('JOB');
      pair.b.lane.send('REFUSE', { code: 'IMAGE_TOO_LARGE', message: 'too large' });
      await pair.a.hears('REFUSE');
      expect([pair.a.lane.state, pair.b.lane.state]).to.deep.equal(['idle', 'idle']);
    });

    it('that fails while its body arrives drops the rest of the body', async () => {
      const { a, b } = pair;
      await pair.begin(BODY.length);
      const sending = a.lane.sendData(BODY, () => a.lane.state === 'receiving');
      await b.until(() => b.pieces.length > 0);
      b.lane.send('FAIL', { code: 'CANCELED', message: 'stop' });
      const heard = b.data.length;
      await Promise.all([sending, a.hears('FAIL')]);

      await pair.begin(3, 2);
      await Promise.all([a.lane.sendData(Buffer.from('new')), b.until(() => b.lane.state === 'working')]);
      expect(b.data.subarray(heard).toString()).to.equal('new');
    });

    it('that has ended ignores a CANCEL', async () => {
      const { a, b } = pair;
      await pair.begin(1);
      await Promise.all([a.lane.sendData(Buffer.from('x')), b.until(() => b.lane.state === 'working')]);
      b.lane.send('DONE', { timings: {} });
      a.lane.signal('CANCEL');
      await a.hears('DONE');
      await pair.begin(1, 2);
      expect(b.kinds).to.deep.equal(['HELLO', 'JOB', 'JOB']);
    });

    it('cannot be sent in the wrong state, and the lane stays open', async () => {
      const { a, b } = pair;
      expect(() => b.lane.signal('GO')).to.throw(DarkroomError, "while idle, received 'GO'");
      expect(() => a.lane.send('HELLO', HELLO)).to.throw(DarkroomError, "while idle, received 'HELLO'");
      await a.lane.sendData(Buffer.from('x')).then(
        () => expect.fail('Expected DATA to be refused while idle'),
        (error) => expect(error).to.be.instanceOf(DarkroomError).with.property('code', 'BAD_REQUEST'),
      );
      await pair.begin(1);
      expect([a.lane.closed, b.lane.closed]).to.deep.equal([false, false]);
    });
  });

  describe('to a bare socket', () => {
    let sockets: SocketPair;
    let decoder: RecordedDecoder;
    let lane: Lane;

    beforeEach(async () => {
      sockets = await openSocketPair();
      decoder = new RecordedDecoder();
      sockets.server.on('data', (chunk) => decoder.push(chunk));
      const a = new RecordingLane(sockets.client, 'a');
      lane = a.lane;
      lane.send('HELLO', HELLO);
      sockets.server.write(encodeMessage('WELCOME', WELCOME));
      await a.hears('WELCOME');
      lane.send('JOB', jobOf(BODY.length));
      sockets.server.write(encodeHeader('GO', 0));
      await a.hears('GO');
    });

    afterEach(() => {
      sockets.client.destroy();
      sockets.server.destroy();
    });

    /** The frames that the bare socket receives until the lane has ended. */
    async function framesUntilEnd() {
      const gone = goneFrom(sockets.server);
      lane.end();
      await gone;
      return decoder.frames.slice(2);
    }

    it('is sent in DATA frames of at most 1 MiB', async () => {
      await lane.sendData(BODY);
      const frames = await framesUntilEnd();
      const lengths = frames.map(({ kind, payload }) => `${kind} ${payload.length}`);
      expect(lengths).to.deep.equal(['DATA 1048576', 'DATA 1048576', 'DATA 524288']);
      expect(Buffer.concat(frames.map((frame) => frame.payload)).equals(BODY)).to.equal(true);
    });

    it('stops at a frame border when it is no longer wanted', async () => {
      let asked = 0;
      await lane.sendData(BODY, () => {
        asked += 1;
        return asked <= 2;
      });
      lane.signal('CANCEL');
      const frames = await framesUntilEnd();
      const lengths = frames.map(({ kind, payload }) => `${kind} ${payload.length}`);
      expect(lengths).to.deep.equal(['DATA 1048576', 'DATA 1048576', 'CANCEL 0']);
    });
  });
});
