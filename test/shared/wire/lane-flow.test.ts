import { expect } from 'chai';
import { HEADER_BYTES, MAX_DATA_BYTES } from '../../../shared/wire/frame.ts';
import { LanePair } from '../../support/lane-pair.ts';
import { BEYOND_KERNEL_BYTES, untilStuck } from '../../support/socket-pair.ts';

const BODY = Buffer.alloc(BEYOND_KERNEL_BYTES, 'darkroom');

describe("a lane's flow control", () => {
  let pair: LanePair;

  beforeEach(async () => {
    pair = await LanePair.open();
    await pair.greet();
    await pair.begin(BODY.length);
  });

  afterEach(() => pair.close());

  /** Sends the whole body to a side that does not read, and waits until no more bytes are accepted. */
  async function sendUntilStuck(): Promise<{ outcome: () => string; sending: Promise<void> }> {
    let outcome = 'under way';
    pair.b.lane.pause();
    const sending = pair.a.lane.sendData(BODY).then(
      () => {
        outcome = 'resolved';
      },
      (error) => {
        outcome = `rejected: ${error}`;
      },
    );
    await untilStuck(pair.client);
    expect(outcome).to.equal('under way');
    return { outcome: () => outcome, sending };
  }

  it('stops the sender with at most one frame in memory, until the other side reads again', async () => {
    const { outcome, sending } = await sendUntilStuck();
    expect(pair.client.writableLength).to.be.at.most(MAX_DATA_BYTES + HEADER_BYTES);
    expect(pair.a.lane.left).to.be.greaterThan(0);
    pair.b.lane.resume();
    await Promise.all([sending, pair.b.until(() => pair.b.lane.state === 'working')]);
    expect(outcome()).to.equal('resolved');
    expect(pair.b.data.equals(BODY)).to.equal(true);
  });

  it('ends the sending when its own side closes', async () => {
    const { outcome, sending } = await sendUntilStuck();
    pair.a.lane.close(null);
    await sending;
    expect(outcome()).to.equal('resolved');
    expect(pair.a.kinds.filter((kind) => kind === 'closed')).to.have.length(1);
  });

  it('ends the sending when the other side closes', async () => {
    const { outcome, sending } = await sendUntilStuck();
    pair.b.lane.close(null);
    await Promise.all([sending, pair.a.hears('closed')]);
    expect(outcome()).to.equal('resolved');
    expect(pair.a.kinds.filter((kind) => kind === 'closed')).to.have.length(1);
  });

  it('lets the other side answer a sender that waits', async () => {
    const { outcome, sending } = await sendUntilStuck();
    pair.b.lane.send('FAIL', { code: 'TIMEOUT', message: 'over' });
    await pair.a.hears('FAIL');
    pair.b.lane.resume();
    await sending;
    expect(outcome()).to.match(/^rejected: .*while idle, received 'DATA'$/);
    expect(pair.a.lane.closed).to.equal(false);
  });

  it('leaves no listener', async () => {
    const count = () => ['drain', 'close', 'error'].map((name) => pair.client.listenerCount(name));
    const before = count();
    const sending = pair.a.lane.sendData(BODY);
    await Promise.all([sending, pair.b.until(() => pair.b.lane.state === 'working')]);
    expect(count()).to.deep.equal(before);
  });
});
