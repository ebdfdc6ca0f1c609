import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { DRAIN_MS, IDENTITY_VARIABLE, identitySchema, SILENT_MS, STARTING_MS } from '../../server-b/child-messages.ts';
import { serverBSettings } from '../../server-b/config.ts';
import type { ListenAddress } from '../../server-b/listener.ts';
import { Supervisor, type SupervisorOptions } from '../../server-b/supervisor.ts';
import { PROTOCOL_VERSION } from '../../shared/wire/frame.ts';
import type { Message } from '../../shared/wire/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { headerOf, waves } from '../support/pictures.ts';
import { eventually, isRunning } from '../support/processes.ts';
import { repositoryPath } from '../support/repository.ts';
import { jobMessage, WireClient } from '../support/wire-client.ts';

const INSTANCE = repositoryPath('test/server-b/fixtures/instance.sh');
/** Milliseconds that an instance may take to end after its drain. */
const OVERDUE_MS = DRAIN_MS + 2000;
/** Signals that the kernel raises for what a process did, and signals that only others send. */
const FAULTS = ['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP', 'SIGSYS'] as const;
const KILLS = ['SIGKILL', 'SIGTERM', 'SIGHUP'] as const;
/** Bytes of one environment variable with which no system starts a process. */
const MORE_THAN_FITS = 3_000_000;

describe('supervisor', function () {
  this.timeout(180_000);
  let folder: string;
  let supervisor: Supervisor;
  let clock: ManualClock;
  let logged: string[];

  async function setUp(): Promise<void> {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-supervisor-'));
    clock = new ManualClock();
  }

  async function cleanUp(): Promise<void> {
    await supervisor.close();
    await rm(folder, { recursive: true, force: true });
  }

  function supervise(
    changes: Readonly<Record<string, unknown>> = {},
    options: Partial<SupervisorOptions> = {},
  ): Supervisor {
    const settings = serverBSettings.parse({ port: 0, dataDir: folder, threads: 1, logLevel: 'silent', ...changes });
    logged = [];
    const log = pino({ level: 'error' }, { write: (line) => logged.push(line) });
    supervisor = new Supervisor(settings, { environment: process.env, log, clock, ...options });
    return supervisor;
  }

  /** The number of failed forks that were logged with the system's reason. */
  function failedTries(code: string): number {
    return logged.filter((line) => JSON.parse(line).err?.code === code).length;
  }

  function livingAddress(): ListenAddress {
    if (supervisor.address === null) throw new Error('Expected a running instance');
    return supervisor.address;
  }

  function livingPid(): number {
    if (supervisor.pid === null) throw new Error('Expected a running instance');
    return supervisor.pid;
  }

  async function welcome(): Promise<Message<'WELCOME'>> {
    const client = new WireClient(livingAddress());
    client.lane.send('HELLO', { protocol: PROTOCOL_VERSION, token: '' });
    const { message } = await client.next('WELCOME');
    client.close();
    return message;
  }

  /** The error of a supervisor that cannot start. */
  async function reasonAgainst(starting: Supervisor): Promise<Error> {
    const reason: unknown = await starting.start().catch((error: unknown) => error);
    if (!(reason instanceof Error)) throw new Error('Expected no instance, received one');
    return reason;
  }

  /** Waits for another instance than that of `pid` to listen. */
  async function replaced(pid: number): Promise<void> {
    await eventually('another instance', () => {
      return supervisor.pid !== pid && supervisor.address !== null ? true : undefined;
    });
  }

  describe('with Server B itself', () => {
    before(async () => {
      await setUp();
      await supervise().start();
    });

    after(cleanUp);

    it('starts an instance and reports its address', async () => {
      expect(livingAddress()).to.include({ host: '127.0.0.1' });
      expect((await welcome()).instance).to.match(/./);
      expect(await isRunning(livingPid())).to.equal(true);
    });

    it('does not replace an instance after SIGINT and SIGTERM, because the instance ignores them', async () => {
      const pid = livingPid();
      process.kill(pid, 'SIGINT');
      process.kill(pid, 'SIGTERM');
      await welcome();
      expect(supervisor.pid).to.equal(pid);
    });

    it('replaces an instance each time it is killed; each tells in WELCOME how those before it ended', async () => {
      const { ended = [] } = await welcome();
      const seen: boolean[] = [];
      supervisor.onChange(() => seen.push(supervisor.address !== null));
      const names: string[] = [];
      for (const signal of ['SIGSEGV', 'SIGKILL'] as const) {
        names.push((await welcome()).instance);
        const pid = livingPid();
        process.kill(pid, signal);
        await replaced(pid);
      }
      const last = await welcome();
      expect(new Set([...names, last.instance]).size).to.equal(3);
      expect(seen).to.deep.equal([false, true, false, true]);
      expect(last.ended).to.deep.equal([
        ...ended,
        { instance: names[0], cause: 'crashed' },
        { instance: names[1], cause: 'killed' },
      ]);
    });

    it('lets the instance finish its jobs when it closes, and starts no other', async () => {
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
  });

  describe('with a fake Server B', () => {
    let children: ChildProcess[];
    let isForked: boolean;
    /** What each instance was told of itself. */
    let identities: (string | undefined)[];
    /** Kills for memory that the supervisor has not seen yet. */
    let kills: number;

    /** Starts a supervisor of processes that only send beats. */
    async function superviseWords(...words: string[]): Promise<void> {
      await beginWords(...words);
    }

    /** The same, without waiting until one listens. */
    function beginWords(...words: string[]): Promise<void> {
      children = [];
      isForked = true;
      identities = [];
      kills = 0;
      const begin: SupervisorOptions['fork'] = (environment) => {
        identities.push(environment[IDENTITY_VARIABLE]);
        if (!isForked) throw new Error('no process');
        const child = spawn(INSTANCE, words, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
        children.push(child);
        return child;
      };
      return supervise({}, { fork: begin, oomKills: { hasRisen } }).start();
    }

    function hasRisen(): boolean {
      const risen = kills > 0;
      kills = 0;
      return risen;
    }

    function living(): ChildProcess {
      const child = children.at(-1);
      if (child === undefined) throw new Error('Expected a running process');
      return child;
    }

    /** Resolves when the supervisor has received a beat of the instance. */
    async function beat(): Promise<void> {
      const heard = once(living(), 'message');
      living().send('beat');
      await heard;
    }

    /** Resolves with the exit code or the signal when the current process ends. */
    async function end(): Promise<unknown> {
      const [code, signal] = await once(living(), 'exit');
      return code ?? signal;
    }

    /** Ends the current process. */
    async function kill(): Promise<void> {
      living().kill('SIGKILL');
      await end();
    }

    describe('tells the next instance', () => {
      before(async () => {
        await setUp();
        await superviseWords();
      });

      after(cleanUp);

      /** Every way to end an instance, and the cause that is told of it. */
      const ends: readonly (readonly [string, string, () => void])[] = [
        ...FAULTS.map((signal) => [signal, 'crashed', () => living().kill(signal)] as const),
        ...KILLS.map((signal) => [signal, 'killed', () => living().kill(signal)] as const),
        ['an exit of its own', 'crashed', () => living().send('exit')],
        ['a stuck worker', 'crashed', () => living().send('stuck')],
        ['the supervisor, because it was silent', 'killed', fallSilent],
      ];

      /** Stops the process, which then ends at nothing but SIGKILL. */
      function fallSilent(): void {
        living().kill('SIGSTOP');
        clock.advance(SILENT_MS);
      }

      function toldCause(): string | undefined {
        return identitySchema.parse(JSON.parse(identities.at(-1) ?? '')).ended.at(-1)?.cause;
      }

      for (const [how, cause, act] of ends) {
        it(`that the one before was ${cause} by ${how}`, async () => {
          const pid = livingPid();
          act();
          await replaced(pid);
          expect(() => process.kill(pid, 0)).to.throw('ESRCH');
          expect(toldCause()).to.equal(cause);
        });
      }

      it('that the one before was crashed by SIGKILL when the kernel has killed for memory meanwhile', async () => {
        const first = livingPid();
        kills += 1;
        living().kill('SIGKILL');
        await replaced(first);
        expect(toldCause()).to.equal('crashed');
        const second = livingPid();
        living().kill('SIGKILL');
        await replaced(second);
        expect(toldCause()).to.equal('killed');
      });
    });

    describe('with the clock', () => {
      beforeEach(setUp);
      afterEach(cleanUp);

      it('kills an instance 6 s after its last beat', async () => {
        await superviseWords();
        clock.advance(SILENT_MS - 1);
        await beat();
        clock.advance(SILENT_MS - 1);
        expect(living().killed).to.equal(false);
        const ended = end();
        clock.advance(1);
        expect(await ended).to.equal('SIGKILL');
      });

      it('gives a process 60 s to its first message, and 6 s to each later one', async () => {
        const started = beginWords('mute');
        clock.advance(STARTING_MS - 1);
        await beat();
        clock.advance(SILENT_MS - 1);
        await beat();
        living().send('listen');
        await started;
      });

      it('replaces a process that sends nothing for 60 s, or is killed before it listens, and goes on to start', async () => {
        const started = beginWords('mute');
        const silent = end();
        clock.advance(STARTING_MS);
        expect(await silent).to.equal('SIGKILL');
        await clock.untilSet(100);
        clock.advance(100);
        await kill();
        await clock.untilSet(200);
        clock.advance(200);
        living().send('listen');
        await started;
        expect(supervisor.address).to.include({ port: 1 });
      });

      it('does not start when a process crashes before it listens', async () => {
        const started = beginWords('mute').catch((error: unknown) => error);
        living().kill('SIGSEGV');
        expect(String(await started)).to.contain('Server B ended before it listened (SIGSEGV).');
      });

      it('ends a start that waits for its next process when it closes', async () => {
        const started = beginWords('mute').catch((error: unknown) => error);
        await kill();
        await clock.untilSet(100);
        await supervisor.close();
        expect(await started).to.have.property('code', 'DRAINING');
      });

      it('replaces an instance that has listened at once, however often one ends', async () => {
        await superviseWords();
        for (let round = 0; round < 3; round += 1) {
          const pid = livingPid();
          living().kill('SIGKILL');
          await replaced(pid);
        }
        expect(clock.has(100)).to.equal(false);
      });

      it('doubles the pause after each end before listening, up to 5 s', async () => {
        await superviseWords();
        isForked = false;
        await kill();
        await clock.untilSet(100);
        let tries = 2;
        for (const wait of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
          clock.advance(wait - 1);
          expect(logged, `${wait}`).to.have.length(tries);
          clock.advance(1);
          tries += 1;
          expect(logged, `${wait}`).to.have.length(tries);
        }
      });

      it('starts again with the first pause after an instance has listened', async () => {
        await superviseWords();
        isForked = false;
        await kill();
        await clock.untilSet(100);
        clock.advance(100);
        isForked = true;
        clock.advance(200);
        await eventually('another instance', () => supervisor.address ?? undefined);
        isForked = false;
        await kill();
        await clock.untilSet(100);
        expect(clock.has(400)).to.equal(false);
      });

      it('closes while no instance runs', async () => {
        await superviseWords();
        isForked = false;
        await kill();
        await clock.untilSet(100);
        await supervisor.close();
        expect([supervisor.pid, supervisor.address]).to.deep.equal([null, null]);
        expect(clock.has(100)).to.equal(false);
      });

      it('kills an instance that does not end in time during close', async () => {
        await superviseWords('stays');
        const ended = end();
        const closed = supervisor.close();
        clock.advance(SILENT_MS - 1);
        await beat();
        for (let left = OVERDUE_MS - SILENT_MS + 1; left > 4000; left -= 4000) {
          clock.advance(4000);
          await beat();
        }
        expect(living().killed).to.equal(false);
        clock.advance(4000);
        expect(await ended).to.equal('SIGKILL');
        await closed;
      });
    });
  });

  describe('when no process can be started', () => {
    const node = process.execPath;

    // Node's own `fork` starts the fake instance in place of node.
    beforeEach(async () => {
      await setUp();
      process.execPath = INSTANCE;
    });

    afterEach(async () => {
      process.execPath = node;
      await cleanUp();
    });

    it('tries again until a process starts, if fork fails with an event', async () => {
      await supervise().start();
      const pid = livingPid();
      const later = join(folder, 'node');
      process.execPath = later;
      process.kill(pid, 'SIGKILL');
      for (const wait of [100, 200]) {
        await clock.untilSet(wait);
        clock.advance(wait);
      }
      await eventually('three tries in vain', () => (failedTries('ENOENT') === 3 ? true : undefined));
      expect([supervisor.pid, supervisor.address]).to.deep.equal([null, null]);
      await symlink(INSTANCE, later);
      await clock.untilSet(400);
      clock.advance(400);
      await replaced(pid);
      expect(livingAddress()).to.include({ port: 1 });
    });

    it('tries again until a process starts, if fork throws', async () => {
      const environment = { ...process.env };
      await supervise({}, { environment }).start();
      const pid = livingPid();
      environment['FILLING'] = 'x'.repeat(MORE_THAN_FITS);
      process.kill(pid, 'SIGKILL');
      for (const wait of [100, 200]) {
        await clock.untilSet(wait);
        clock.advance(wait);
      }
      expect(failedTries('E2BIG')).to.equal(3);
      expect([supervisor.pid, supervisor.address]).to.deep.equal([null, null]);
      environment['FILLING'] = '';
      await clock.untilSet(400);
      clock.advance(400);
      await replaced(pid);
      expect(livingAddress()).to.include({ port: 1 });
    });

    it('does not start, and reports the reason, if fork fails with an event', async () => {
      process.execPath = join(folder, 'node');
      expect(await reasonAgainst(supervise())).to.include({ code: 'ENOENT' });
    });

    it('does not start, and reports the reason, if fork throws', async () => {
      const filling = { FILLING: 'x'.repeat(MORE_THAN_FITS) };
      expect(await reasonAgainst(supervise({}, { environment: filling }))).to.include({ code: 'E2BIG' });
    });
  });

  describe('with settings that cannot work', () => {
    beforeEach(setUp);
    afterEach(cleanUp);

    it("does not start when its threads cannot; passes its settings to them, and none of Server A's variables", async () => {
      // It cannot be loaded, and its reason tells the names of all variables.
      const telling = join(folder, 'telling.mjs');
      await writeFile(telling, "throw new Error('has ' + Object.keys(process.env) + '.')");
      const environment = {
        ...process.env,
        DARKROOM_API_KEYS: 'secret',
        DARKROOM_B_MODEL: 'other.onnx',
        OTHER: 'kept',
      };
      const changes = { token: 'token', operationsModule: telling };
      const { message } = await reasonAgainst(supervise(changes, { environment }));
      const names = /has (.*)\./.exec(message)?.[1]?.split(',') ?? [];
      expect(names).to.include.members(['OTHER', 'PATH', 'DARKROOM_TOKEN', 'DARKROOM_B_DATA_DIR']);
      expect(names).to.not.include('DARKROOM_API_KEYS').and.not.include('DARKROOM_B_MODEL');
    });

    it('does not start on a port in use, and reports code and port', async () => {
      const holder = createServer().listen(0, '127.0.0.1');
      await once(holder, 'listening');
      try {
        const { port } = Object(holder.address());
        expect(await reasonAgainst(supervise({ port }))).to.include({ code: 'EADDRINUSE', port });
      } finally {
        holder.close();
      }
    });
  });
});
