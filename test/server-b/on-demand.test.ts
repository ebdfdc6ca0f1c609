import { expect } from 'chai';
import { pino } from 'pino';
import type { ListenAddress } from '../../server-b/listener.ts';
import { OnDemandServerB, type Supervised } from '../../server-b/on-demand.ts';
import { ManualClock } from '../support/manual-clock.ts';

const ADDRESS: ListenAddress = { host: '127.0.0.1', port: 7 };

/** A supervisor without a process: a test says when it listens, and why it cannot. */
class FakeSupervisor implements Supervised {
  address: ListenAddress | null = null;
  isClosed = false;
  unable: (reason: Error) => void = () => undefined;
  #listen: () => void = () => undefined;
  #changed: () => void = () => undefined;

  onChange(listener: () => void): void {
    this.#changed = listener;
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listen = resolve;
      this.unable = reject;
    });
  }

  listen(): void {
    this.address = ADDRESS;
    this.#changed();
    this.#listen();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.unable(new Error('closed'));
  }
}

describe('a Server B on demand', () => {
  let clock: ManualClock;
  let started: FakeSupervisor[];
  let server: OnDemandServerB;
  /** The address at each change. */
  let seen: (ListenAddress | null)[];
  let logged: string[];

  beforeEach(() => {
    clock = new ManualClock();
    started = [];
    seen = [];
    logged = [];
    const supervise = () => {
      const supervisor = new FakeSupervisor();
      started.push(supervisor);
      return supervisor;
    };
    server = new OnDemandServerB(supervise, pino({}, { write: (line: string) => logged.push(line) }), clock);
    server.onChange(() => seen.push(server.address));
  });

  /** Lets promises settle that have nothing to wait for. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it('starts when it is wanted, once, and says where it listens', () => {
    expect([started.length, server.address]).to.deep.equal([0, null]);
    server.want(true);
    server.want(true);
    started[0]?.listen();
    expect([started.length, seen]).to.deep.equal([1, [ADDRESS]]);
  });

  it('ends half a minute after it is no longer wanted, and has no address before it ends', () => {
    server.want(true);
    started[0]?.listen();
    server.want(false);
    clock.advance(29_999);
    expect(started[0]?.isClosed).to.equal(false);
    clock.advance(1);
    expect([started[0]?.isClosed, seen]).to.deep.equal([true, [ADDRESS, null]]);
  });

  it('stays when it is wanted again meanwhile, and starts anew after its end', async () => {
    server.want(true);
    server.want(false);
    clock.advance(29_999);
    server.want(true);
    clock.advance(60_000);
    expect([started.length, started[0]?.isClosed]).to.deep.equal([1, false]);
    server.want(false);
    clock.advance(30_000);
    server.want(true);
    started[1]?.listen();
    await settled();
    expect([started.length, server.address, logged]).to.deep.equal([2, ADDRESS, []]);
  });

  it('tries again when it cannot start, while it is wanted', async () => {
    server.want(true);
    started[0]?.unable(new Error('no process'));
    await settled();
    expect(logged).to.have.length(1);
    clock.advance(5000);
    expect(started).to.have.length(2);
    started[1]?.unable(new Error('no process'));
    await settled();
    server.want(false);
    clock.advance(60_000);
    expect(started).to.have.length(2);
  });

  it('ends when it closes, and starts no more', async () => {
    server.want(true);
    await server.close();
    server.want(false);
    server.want(true);
    expect([started.length, started[0]?.isClosed, logged]).to.deep.equal([1, true, []]);
  });
});
