import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { DarkroomError } from '../../../shared/errors.ts';
import { encodeHeader, encodeMessage } from '../../../shared/wire/frame.ts';
import { HELLO, jobOf, LanePair, pictureOf, WELCOME } from '../../support/lane-pair.ts';
import { type ExtraHandlers, RecordingLane } from '../../support/recording-lane.ts';
import {
  BEYOND_KERNEL_BYTES,
  goneFrom,
  openSocketPair,
  type SocketPair,
  untilStuck,
} from '../../support/socket-pair.ts';

const hello = encodeMessage('HELLO', HELLO);

/** A control frame with any payload, which need not be JSON. */
function framed(kind: 'HELLO' | 'JOB', payload: string): Buffer {
  return Buffer.concat([encodeHeader(kind, Buffer.byteLength(payload)), Buffer.from(payload)]);
}

describe('the end of a lane', () => {
  let sockets: SocketPair;

  beforeEach(async () => {
    sockets = await openSocketPair();
    sockets.client.on('error', () => {}); // The lane may be closed while this end still writes; the tests want that.
  });

  afterEach(() => {
    sockets.client.destroy();
    sockets.server.destroy();
  });

  /** Applies `cause` to a lane and waits until both sockets are closed. Resolves with the argument of each `closed`. */
  async function closings(cause: (b: RecordingLane) => void, extra: ExtraHandlers = {}): Promise<unknown[]> {
    const b = new RecordingLane(sockets.server, 'b', extra);
    const gone = Promise.all([goneFrom(sockets.server), goneFrom(sockets.client)]);
    sockets.client.resume();
    cause(b);
    await gone;
    expect(b.lane.closed).to.equal(true);
    b.lane.close(new Error('a second closing'));
    b.lane.end();
    return b.heard.filter((one) => one.kind === 'closed').map((one) => one.value);
  }

  describe('calls the handler once, with null', () => {
    it('when the other side ends', async () => {
      expect(await closings(() => sockets.client.end())).to.deep.equal([null]);
    });

    it('when its own side ends', async () => {
      expect(await closings((b) => b.lane.end())).to.deep.equal([null]);
    });

    it('when its socket is destroyed', async () => {
      expect(await closings(() => sockets.server.destroy())).to.deep.equal([null]);
    });
  });

  describe('calls the handler once, with the reason', () => {
    it('when its own side closes it', async () => {
      const reason = new Error('enough');
      expect(await closings((b) => b.lane.close(reason))).to.deep.equal([reason]);
    });

    it('when the connection is reset', async () => {
      const calls = await closings(() => sockets.client.resetAndDestroy());
      expect(calls).to.have.length(1);
      expect(calls[0]).to.have.property('code', 'ECONNRESET');
    });

    for (const [what, bytes] of [
      ['a frame of an unknown kind', Buffer.from([99, 0, 0, 0, 0])],
      ['a frame that is too long', Buffer.from([1, 0xff, 0xff, 0xff, 0xff])],
      ['a frame that the state does not allow', encodeHeader('CANCEL', 0)],
      ['a frame that only the other side sends', encodeMessage('WELCOME', WELCOME)],
      ['a message that is not JSON', framed('HELLO', 'hello')],
      ['a message that does not match its schema', framed('HELLO', '{"protocol":1}')],
      ['valid bytes and then invalid ones', Buffer.concat([hello, Buffer.alloc(5)])],
    ] as const) {
      it(`when ${what} arrives`, async () => {
        const calls = await closings(() => sockets.client.write(bytes));
        expect(calls).to.have.length(1);
        expect(calls[0]).to.be.instanceOf(DarkroomError).with.property('code', 'BAD_REQUEST');
      });
    }

    it('when a handler throws', async () => {
      const fault = new Error('no room for a HELLO');
      const HELLO = () => {
        throw fault;
      };
      expect(await closings(() => sockets.client.write(hello), { HELLO })).to.deep.equal([fault]);
    });

    it('when a handler throws something that is not an Error', async () => {
      const HELLO = () => {
        throw 'a text';
      };
      const calls = await closings(() => sockets.client.write(hello), { HELLO });
      expect(calls).to.have.length(1);
      expect(calls[0]).to.be.instanceOf(DarkroomError).with.property('code', 'INTERNAL');
    });
  });

  it('flushes the bytes sent before, even to a slow reader', async () => {
    const pair = await LanePair.open();
    try {
      await pair.greet();
      await pair.begin(1);
      await Promise.all([pair.a.lane.sendData(Buffer.from('x')), pair.b.until(() => pair.b.lane.state === 'working')]);
      const picture = Buffer.alloc(BEYOND_KERNEL_BYTES, 'darkroom');
      pair.a.lane.pause();
      pair.b.lane.send('OUTPUT', pictureOf(picture.length));
      const sending = pair.b.lane.sendData(picture);
      await untilStuck(pair.server);
      expect(pair.server.writableLength).to.be.greaterThan(0);
      pair.b.lane.end();
      expect(pair.b.kinds.at(-1)).to.equal('closed');
      pair.a.lane.resume();
      await Promise.all([sending, pair.a.hears('closed')]);
      const sent = picture.subarray(0, picture.length - pair.b.lane.left);
      expect(pair.a.data.equals(sent)).to.equal(true);
      expect(pair.a.last('closed')).to.equal(null);
    } finally {
      pair.close();
    }
  });

  it('flushes a REFUSE even if the other side sends more', async () => {
    const a = new RecordingLane(sockets.client, 'a');
    const b = new RecordingLane(sockets.server, 'b', {
      HELLO: () => {
        b.lane.send('REFUSE', { code: 'UNAUTHENTICATED', message: 'wrong token' });
        b.lane.end();
      },
    });
    a.lane.send('HELLO', HELLO);
    for (let beat = 0; beat < 100; beat += 1) a.lane.signal('BEAT');
    await a.hears('closed');
    expect(a.last('REFUSE')).to.deep.equal({ code: 'UNAUTHENTICATED', message: 'wrong token' });
    expect(b.last('closed')).to.equal(null);
  });

  it('destroys the connection to a peer that does not read', async () => {
    const a = new RecordingLane(sockets.client, 'a', {}, { beatMs: 200, deadMs: 600 });
    a.lane.send('HELLO', HELLO);
    sockets.server.write(encodeMessage('WELCOME', WELCOME));
    await a.hears('WELCOME');
    const body = Buffer.alloc(BEYOND_KERNEL_BYTES);
    a.lane.send('JOB', jobOf(body.length));
    sockets.server.write(encodeHeader('GO', 0));
    await a.hears('GO');
    const gone = goneFrom(sockets.client);
    const sending = a.lane.sendData(body);
    await untilStuck(sockets.client);
    a.lane.end();
    await Promise.all([sending, gone]);
    expect(a.heard.slice(-1)).to.deep.equal([{ kind: 'closed', value: null }]);
  });

  it('is the last call of a handler, even in the middle of a chunk', async () => {
    const a = new RecordingLane(sockets.client, 'a', { DATA: () => a.lane.close(null) });
    a.lane.send('HELLO', HELLO);
    sockets.server.write(encodeMessage('WELCOME', WELCOME));
    await a.hears('WELCOME');
    a.lane.send('JOB', jobOf(1));
    sockets.server.write(encodeHeader('GO', 0));
    await a.hears('GO');
    await a.lane.sendData(Buffer.from('x'));
    const piece = Buffer.concat([encodeHeader('DATA', 1), Buffer.from('y')]);
    const done = encodeMessage('DONE', { timings: {} });
    sockets.server.write(Buffer.concat([encodeMessage('OUTPUT', pictureOf(2)), piece, piece, done]));
    await Promise.all([a.hears('closed'), goneFrom(sockets.client)]);
    expect(a.pieces).to.have.length(1);
    expect(a.kinds.slice(-2)).to.deep.equal(['OUTPUT', 'closed']);
  });

  it('turns every later send into a no-op', async () => {
    const b = new RecordingLane(sockets.server, 'b');
    b.lane.close(null);
    b.lane.send('WELCOME', WELCOME);
    b.lane.signal('BEAT');
    await b.lane.sendData(Buffer.from('x'));
    expect(sockets.server.bytesWritten).to.equal(0);
  });

  it('lets the process end', async () => {
    const program = fileURLToPath(new URL('../../support/lane-process.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 15_000 });
    expect(stdout).to.equal('a closed\nb closed\n');
  });
});
