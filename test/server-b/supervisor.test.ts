import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { serverBSettings } from '../../server-b/config.ts';
import type { ListenAddress } from '../../server-b/listener.ts';
import { Supervisor } from '../../server-b/supervisor.ts';
import { createLogger } from '../../shared/log.ts';
import { headerOf, waves } from '../support/pictures.ts';
import { eventually, isRunning } from '../support/processes.ts';
import { jobMessage, WireClient } from '../support/wire-client.ts';

describe('supervisor', function () {
  this.timeout(60_000);
  let folder: string;
  let supervisor: Supervisor;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-supervisor-'));
  });

  afterEach(async () => {
    await supervisor.close();
    await rm(folder, { recursive: true, force: true });
  });

  function supervise(changes: Readonly<Record<string, unknown>> = {}): Supervisor {
    const settings = serverBSettings.parse({ port: 0, dataDir: folder, threads: 1, logLevel: 'silent', ...changes });
    supervisor = new Supervisor(settings, { environment: process.env, log: createLogger('test', 'silent') });
    return supervisor;
  }

  function livingAddress(): ListenAddress {
    if (supervisor.address === null) throw new Error('Expected an instance that lives');
    return supervisor.address;
  }

  function livingPid(): number {
    if (supervisor.pid === null) throw new Error('Expected an instance that lives');
    return supervisor.pid;
  }

  /** The random name of the instance that answers now. */
  async function instance(): Promise<string> {
    const client = new WireClient(livingAddress());
    client.lane.send('HELLO', { protocol: 1, token: '' });
    const { message } = await client.next('WELCOME');
    client.close();
    return message.instance;
  }

  /** Waits for another instance than the one of `pid` to listen. */
  async function replaced(pid: number): Promise<void> {
    await eventually('another instance', () => {
      return supervisor.pid !== pid && supervisor.address !== null ? true : undefined;
    });
  }

  it('starts an instance and knows where it listens', async () => {
    await supervise().start();
    expect(livingAddress()).to.include({ host: '127.0.0.1' });
    expect(await instance()).to.match(/./);
    expect(await isRunning(livingPid())).to.equal(true);
  });

  it('replaces an instance that is killed, again and again, and tells of each change', async () => {
    await supervise().start();
    const lives = new Set([await instance()]);
    const seen: boolean[] = [];
    supervisor.onChange(() => seen.push(supervisor.address !== null));
    for (let round = 0; round < 3; round += 1) {
      const pid = livingPid();
      process.kill(pid, 'SIGKILL');
      await replaced(pid);
      lives.add(await instance());
    }
    expect(lives.size).to.equal(4);
    expect(seen).to.deep.equal([false, true, false, true, false, true]);
  });

  it('kills and replaces an instance that is silent', async () => {
    await supervise().start();
    const pid = livingPid();
    process.kill(pid, 'SIGSTOP');
    await replaced(pid);
    expect(await isRunning(pid)).to.equal(false);
    expect(await instance()).to.match(/./);
  });

  it('leaves an instance alone that SIGINT and SIGTERM reach', async () => {
    await supervise().start();
    const pid = livingPid();
    process.kill(pid, 'SIGINT');
    process.kill(pid, 'SIGTERM');
    await instance();
    expect(supervisor.pid).to.equal(pid);
  });

  it('lets the instance finish its jobs when it closes, and starts no other', async () => {
    await supervise().start();
    const pid = livingPid();
    const client = await WireClient.greeted(livingAddress());
    const body = await waves(500, 400).png().toBuffer();
    const operations = [{ operation: 'resize', scale_factor: 1, format: 'avif' } as const];
    client.lane.send(
      'JOB',
      jobMessage({ bytes: body.length, image: await headerOf(body), operations, deadline_ms: 30_000 }),
    );
    await client.next('GO');
    await client.lane.sendData(body);
    const closed = supervisor.close();
    await client.next('DONE');
    client.close();
    await closed;
    expect([supervisor.pid, supervisor.address, await isRunning(pid)]).to.deep.equal([null, null, false]);
  });

  it('closes between two lives', async () => {
    await supervise().start();
    process.kill(livingPid(), 'SIGKILL');
    await eventually('the end of the instance', () => (supervisor.pid === null ? true : undefined));
    await supervisor.close();
    expect([supervisor.pid, supervisor.address]).to.deep.equal([null, null]);
  });

  it('does not start on a port that is taken, and says so with code and port', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    try {
      const { port } = Object(holder.address());
      const error: unknown = await supervise({ port })
        .start()
        .catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(Error).and.include({ code: 'EADDRINUSE', port });
    } finally {
      holder.close();
    }
  });

  it('does not start when its threads cannot', async () => {
    const error: unknown = await supervise({ operationsModule: join(folder, 'missing.js') })
      .start()
      .catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(Error).and.have.property('message').that.contains('missing.js');
  });
});
