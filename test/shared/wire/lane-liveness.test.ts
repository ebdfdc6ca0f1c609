import { expect } from 'chai';
import { encodeMessage, HEADER_BYTES } from '../../../shared/wire/frame.ts';
import { HELLO, LanePair } from '../../support/lane-pair.ts';
import { RecordedDecoder } from '../../support/recorded-frames.ts';
import { RecordingLane } from '../../support/recording-lane.ts';
import { goneFrom, openSocketPair, type SocketPair } from '../../support/socket-pair.ts';

/** A peer may be silent for three beats. */
const TIMING = { beatMs: 40, deadMs: 120 };

describe("a lane's heartbeat", () => {
  describe('with a bare socket on the other side', () => {
    let sockets: SocketPair;
    let b: RecordingLane;
    let peer: RecordedDecoder;

    beforeEach(async () => {
      sockets = await openSocketPair();
      peer = new RecordedDecoder();
      sockets.client.on('data', (chunk) => peer.push(chunk));
      b = new RecordingLane(sockets.server, 'b', {}, TIMING);
    });

    afterEach(() => {
      sockets.client.destroy();
      sockets.server.destroy();
    });

    /** Calls `act` at each BEAT of the lane, and resolves after so many. */
    async function atEachBeat(count: number, act: (beat: number) => void): Promise<void> {
      let seen = 0;
      while (seen < count) {
        await new Promise((resolve) => sockets.client.once('data', resolve));
        while (seen < Math.min(count, peer.frames.length)) act(seen++);
      }
    }

    it('is one BEAT at a time, sent only when there is nothing else to send', async () => {
      await atEachBeat(2, () => sockets.client.write(Buffer.from([11, 0, 0, 0, 0])));
      expect(new Set(peer.frames.map((frame) => frame.kind))).to.deep.equal(new Set(['BEAT']));
    });

    it('closes the lane when the other side sends nothing', async () => {
      await Promise.all([b.hears('closed'), goneFrom(sockets.client)]);
      expect(b.last('closed')).to.include({
        code: 'BACKEND_UNAVAILABLE',
        message: 'The peer sent nothing for 120 ms.',
      });
      expect(b.kinds).to.deep.equal(['closed']);
    });

    it('is any byte, even of an incomplete frame', async () => {
      const slow = encodeMessage('HELLO', HELLO);
      const beats = HEADER_BYTES + 7;
      await atEachBeat(beats, (beat) => sockets.client.write(slow.subarray(beat, beat + 1)));
      expect(beats * TIMING.beatMs).to.be.greaterThan(3 * TIMING.deadMs);
      expect(b.kinds).to.be.empty;
      await b.hears('closed');
      expect(b.last('closed')).to.have.property('code', 'BACKEND_UNAVAILABLE');
    });

    it('is not expected of the other side while the lane does not read', async () => {
      b.lane.pause();
      await atEachBeat(10, () => {});
      expect(b.kinds).to.be.empty;
      b.lane.resume();
      await b.hears('closed');
      expect(b.last('closed')).to.have.property('code', 'BACKEND_UNAVAILABLE');
    });

    it('is sent while the lane does not read', async () => {
      b.lane.pause();
      sockets.client.write(encodeMessage('HELLO', HELLO));
      await atEachBeat(5, () => {});
      expect(b.kinds).to.be.empty;
      b.lane.resume();
      await b.hears('HELLO');
    });
  });

  it('keeps two idle lanes open for longer than the limit of silence', async () => {
    const pair = await LanePair.open({}, TIMING);
    try {
      await pair.greet();
      for (let wait = 0; wait < 12; wait += 1) {
        await new Promise((resolve) => setTimeout(resolve, TIMING.beatMs));
      }
      expect([pair.a.kinds, pair.b.kinds]).to.deep.equal([['WELCOME'], ['HELLO']]);
    } finally {
      pair.close();
    }
  });
});
