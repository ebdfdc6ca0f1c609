import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { serverBSettings } from '../../server-b/config.ts';
import type { ListenAddress } from '../../server-b/listener.ts';
import { Supervisor } from '../../server-b/supervisor.ts';
import { PROTOCOL_VERSION } from '../../shared/wire/frame.ts';
import { headerOf, waves } from '../support/pictures.ts';
import { eventually, isRunning } from '../support/processes.ts';
import { jobMessage, WireClient } from '../support/wire-client.ts';

/** Bytes of one environment variable with which no system starts a process. */
const MORE_THAN_FITS = 3_000_000;

describe('supervisor', function () {
  this.timeout(60_000);
  let folder: string;
  let supervisor: Supervisor;
  let logged: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-supervisor-'));
  });

  afterEach(async () => {
    await supervisor.close();
    await rm(folder, { recursive: true, force: true });
  });

  function supervise(
    changes: Readonly<Record<string, unknown>> = {},
    environment: Readonly<Record<string, string | undefined>> = process.env,
  ): Supervisor {
    const settings = serverBSettings.parse({ port: 0, dataDir: folder, threads: 1, logLevel: 'silent', ...changes });
    logged = [];
    const log = pino({ level: 'error' }, { write: (line) => logged.push(line) });
    supervisor = new Supervisor(settings, { environment, log });
    return supervisor;
  }

  /** How many lives were logged as ended before they began, for a reason of the system's. */
  function failedTries(code: string): number {
    return logged.filter((line) => JSON.parse(line).err?.code === code).length;
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
    client.lane.send('HELLO', { protocol: PROTOCOL_VERSION, token: '' });
    const { message } = await client.next('WELCOME');
    client.close();
    return message.instance;
  }

  /** Why a supervisor cannot start. */
  async function reasonAgainst(starting: Supervisor): Promise<Error> {
    const reason: unknown = await starting.start().catch((error: unknown) => error);
    if (!(reason instanceof Error)) throw new Error('Expected no instance, received one');
    return reason;
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
    const outputs = [{ name: 'resize', operation: 'resize', scale_factor: 1, format: 'avif' } as const];
    client.lane.send(
      'JOB',
      jobMessage({ bytes: body.length, image: await headerOf(body), outputs, deadline_ms: 30_000 }),
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

  describe('where no process can be had', () => {
    const node = process.execPath;

    afterEach(() => {
      process.execPath = node;
    });

    it('goes on trying, where fork fails by an event, until one can be had', async () => {
      await supervise().start();
      const pid = livingPid();
      const later = join(folder, 'node');
      process.execPath = later;
      process.kill(pid, 'SIGKILL');
      await eventually('two tries in vain', () => (failedTries('ENOENT') >= 2 ? true : undefined));
      expect([supervisor.pid, supervisor.address]).to.deep.equal([null, null]);
      await symlink(node, later);
      await replaced(pid);
      expect(await instance()).to.match(/./);
    });

    it('goes on trying, where fork throws, until one can be had', async () => {
      const environment = { ...process.env };
      await supervise({}, environment).start();
      const pid = livingPid();
      environment['FILLING'] = 'x'.repeat(MORE_THAN_FITS);
      process.kill(pid, 'SIGKILL');
      await eventually('two tries in vain', () => (failedTries('E2BIG') >= 2 ? true : undefined));
      expect([supervisor.pid, supervisor.address]).to.deep.equal([null, null]);
      environment['FILLING'] = '';
      await replaced(pid);
      expect(await instance()).to.match(/./);
    });

    it('does not start, and tells why, where fork fails by an event', async () => {
      process.execPath = join(folder, 'node');
      expect(await reasonAgainst(supervise())).to.include({ code: 'ENOENT' });
    });

    it('does not start, and tells why, where fork throws', async () => {
      const filling = { FILLING: 'x'.repeat(MORE_THAN_FITS) };
      expect(await reasonAgainst(supervise({}, filling))).to.include({ code: 'E2BIG' });
    });
  });

  it("keeps Server A's settings from the instance, which has its own from the supervisor", async () => {
    const telling = join(folder, 'telling.mjs');
    await writeFile(telling, "throw new Error('has ' + Object.keys(process.env) + '.')");
    const environment = { ...process.env, DARKROOM_API_KEYS: 'secret', DARKROOM_B_MODEL: 'other.onnx', OTHER: 'kept' };
    const changes = { token: 'token', operationsModule: telling };
    const { message } = await reasonAgainst(supervise(changes, environment));
    const names = /has (.*)\./.exec(message)?.[1]?.split(',') ?? [];
    expect(names).to.include.members(['OTHER', 'PATH', 'DARKROOM_TOKEN', 'DARKROOM_B_DATA_DIR']);
    expect(names).to.not.include('DARKROOM_API_KEYS').and.not.include('DARKROOM_B_MODEL');
  });

  it('does not start on a port that is taken, and says so with code and port', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    try {
      const { port } = Object(holder.address());
      expect(await reasonAgainst(supervise({ port }))).to.include({ code: 'EADDRINUSE', port });
    } finally {
      holder.close();
    }
  });

  it('does not start when its threads cannot', async () => {
    const error = await reasonAgainst(supervise({ operationsModule: join(folder, 'missing.js') }));
    expect(error.message).to.contain('missing.js');
  });
});
