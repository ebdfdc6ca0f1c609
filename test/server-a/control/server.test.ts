import { once } from 'node:events';
import { access, mkdir, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { z } from 'zod';
import { control } from '../../../bin/control/client.ts';
import { controlCommand } from '../../../server-a/control/command.ts';
import { readAnswer } from '../../../server-a/control/messages.ts';
import { type ControlServer, startControl } from '../../../server-a/control/server.ts';
import type { Tasks } from '../../../server-a/tasks/tasks.ts';
import { DarkroomError } from '../../../shared/errors.ts';
import { codeOf, forever, silent, useTasks } from '../tasks/support.ts';

const LARGE = Buffer.alloc(3 * 1024 * 1024 + 1, 'x');

describe('control socket', () => {
  const { folder, open } = useTasks();
  const servers: ControlServer[] = [];
  let tasks: Tasks;
  /** Settles when the command `endless` has seen its abort. */
  let aborted: Promise<unknown>;
  let begun: () => void;
  let isBegun: Promise<void>;

  const commands = [
    controlCommand('count', z.object({ to: z.int() }), async function* ({ to }, context) {
      for (let number = 1; number <= to; number += 1) yield Buffer.from(`${number} `);
      return context.tasks.counts();
    }),
    controlCommand('large', z.object({}), async function* () {
      yield LARGE;
      yield Buffer.alloc(0);
      return null;
    }),
    // biome-ignore lint/correctness/useYield: a command is a generator, and this one fails before it has data
    controlCommand('refuse', z.object({}), async function* () {
      throw new DarkroomError('NOT_FOUND', 'There is no such thing.');
    }),
    // biome-ignore lint/correctness/useYield: a command is a generator, and this one fails before it has data
    controlCommand('fail', z.object({}), async function* () {
      throw new Error('/a/secret/path');
    }),
    controlCommand('endless', z.object({}), async function* (_request, _context, signal) {
      yield Buffer.from('begun');
      aborted = once(signal, 'abort');
      begun();
      await aborted;
      throw signal.reason;
    }),
  ];

  beforeEach(async () => {
    isBegun = new Promise((resolve) => {
      begun = resolve;
    });
    tasks = await open();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });

  async function start(dataDir = folder()): Promise<ControlServer> {
    const server = await startControl(dataDir, commands, { tasks, log: silent });
    servers.push(server);
    return server;
  }

  async function ask(command: string, fields: object = {}, dataDir = folder()) {
    const answer = control(dataDir, { command, ...fields }, forever);
    const data: Buffer[] = [];
    for (;;) {
      const { done, value } = await answer.next();
      if (done) return { data: Buffer.concat(data), result: value };
      data.push(value);
    }
  }

  it('gives the data and the result of a command', async () => {
    await start();
    const { data, result } = await ask('count', { to: 3 });
    expect(data.toString()).to.equal('1 2 3 ');
    expect(result).to.deep.equal({ pending: 0, processing: 0, spool_bytes: 0 });
    expect((await ask('large')).data.equals(LARGE)).to.equal(true);
  });

  it('gives the error of a command, without internal details', async () => {
    await start();
    expect(await codeOf(ask('refuse'))).to.equal('NOT_FOUND');
    const error: unknown = await ask('fail').catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'INTERNAL' });
    expect(String(error)).not.to.contain('secret');
  });

  it('refuses an unknown command, and fields that are not of the command', async () => {
    await start();
    expect(await codeOf(ask('unknown'))).to.equal('BAD_REQUEST');
    expect(await codeOf(ask('count', { to: 'three' }))).to.equal('BAD_REQUEST');
  });

  for (const [title, text] of [
    ['is not JSON', 'hello\n'],
    ['is not complete', '{"command"'],
    ['is too long', 'x'.repeat(70_000)],
  ] as const) {
    it(`refuses a request that ${title}`, async () => {
      await start();
      const socket = connect(join(folder(), 'control.sock'));
      socket.end(text);
      expect(await codeOf(readAnswer(socket).next())).to.equal('BAD_REQUEST');
    });
  }

  it('is for its owner only, and replaces the socket of a process that was killed', async () => {
    await writeFile(join(folder(), 'control.sock'), '');
    await start();
    const entry = await stat(join(folder(), 'control.sock'));
    expect([entry.isSocket(), entry.mode & 0o777]).to.deep.equal([true, 0o600]);
  });

  it('works in a folder whose path is longer than a socket path may be', async () => {
    const deep = join(folder(), 'a'.repeat(100), 'b'.repeat(100));
    await mkdir(deep, { recursive: true });
    await start(deep);
    expect((await ask('count', { to: 1 }, deep)).data.toString()).to.equal('1 ');
    await servers.pop()?.close();
    expect(await codeOf(access(join(deep, 'control.sock')))).to.contain('ENOENT');
  });

  it('tells a command when its client has gone', async () => {
    await start();
    const leaving = new AbortController();
    const answer = control(folder(), { command: 'endless' }, leaving.signal);
    await answer.next();
    await isBegun;
    leaving.abort(new DarkroomError('CANCELED', 'Stopped'));
    expect(await codeOf(answer.next())).to.equal('CANCELED');
    await aborted;
  });

  it('ends running commands with DRAINING at a stop, and removes itself', async () => {
    const server = await start();
    const answer = control(folder(), { command: 'endless' }, forever);
    await answer.next();
    await isBegun;
    const ended = codeOf(answer.next());
    await server.close();
    servers.length = 0;
    expect(await ended).to.equal('DRAINING');
    expect(await codeOf(ask('count', { to: 1 }))).to.equal('BAD_REQUEST');
  });

  it('tells that no Darkroom runs there', async () => {
    const error: unknown = await ask('count').catch((reason: unknown) => reason);
    expect(String(error)).to.contain('No Darkroom runs on the data folder');
    const dead = connect(join(folder(), 'control.sock'));
    expect(await codeOf(buffer(dead))).to.contain('ENOENT');
  });
});
