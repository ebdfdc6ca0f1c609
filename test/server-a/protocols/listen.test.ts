import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { pino } from 'pino';
import { type Listening, listenOn } from '../../../server-a/protocols/listen.ts';
import { systemCode } from '../../../shared/errors.ts';
import { freePort } from '../../support/free-port.ts';
import { eventually } from '../../support/processes.ts';

describe('listenOn', () => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const opened: Listening[] = [];
  let server: Server;

  beforeEach(() => {
    server = createServer((socket) => socket.end('hello'));
  });
  afterEach(async () => {
    for (const listening of opened.splice(0)) await listening.close();
  });

  const listen = async (one: Server, ips: readonly string[], ports: readonly number[], maxConnections = 9) => {
    const listening = await listenOn(one, { ips, ports, maxConnections, log });
    opened.push(listening);
    return listening.addresses;
  };

  it('returns the addresses in use, with the same free port on each', async () => {
    const addresses = await listen(server, ['127.0.0.1', '::1'], [0]);
    const port = Number(addresses[0]?.split(':')[1]);
    expect(port).to.be.greaterThan(0);
    expect(addresses).to.deep.equal([`127.0.0.1:${port}`, `[::1]:${port}`]);
    for (const host of ['127.0.0.1', '::1']) expect(await greet(port, host)).to.equal('hello');
  });

  it('listens on every port of every address', async () => {
    const [one, two] = [await freePort(), await freePort()];
    expect(await listen(server, ['127.0.0.1', '127.0.0.2'], [one, two])).to.have.members([
      `127.0.0.1:${one}`,
      `127.0.0.2:${one}`,
      `127.0.0.1:${two}`,
      `127.0.0.2:${two}`,
    ]);
    for (const port of [one, two])
      for (const host of ['127.0.0.1', '127.0.0.2']) expect(await greet(port, host)).to.equal('hello');
  });

  it('bounds the connections of all addresses together', async () => {
    const silent = createServer((socket) => socket.resume());
    const addresses = await listen(silent, ['127.0.0.1', '127.0.0.2'], [0], 2);
    const port = Number(addresses[0]?.split(':')[1]);
    const open = async (host: string) => {
      const accepted = once(silent, 'connection').then(() => true);
      const socket = connect(port, host).resume();
      return { socket, isOpen: await Promise.race([accepted, once(socket, 'close').then(() => false)]) };
    };
    const first = await open('127.0.0.1');
    const second = await open('127.0.0.2');
    expect([first.isOpen, second.isOpen]).to.deep.equal([true, true]);
    for (const host of ['127.0.0.1', '127.0.0.2']) expect((await open(host)).isOpen, host).to.equal(false);
    first.socket.destroy();
    const third = await eventually('room for a connection', async () => {
      const next = await open('127.0.0.2');
      return next.isOpen ? next : undefined;
    });
    for (const { socket } of [second, third]) socket.destroy();
  });

  it('listens nowhere when one of the addresses is not available', async () => {
    const port = await freePort();
    const failure: unknown = await listen(server, ['127.0.0.1', '192.0.2.1'], [port]).catch((error: unknown) => error);
    expect(systemCode(failure)).to.equal('EADDRNOTAVAIL');
    expect(systemCode(await greet(port, '127.0.0.1').catch((error: unknown) => error))).to.equal('ECONNREFUSED');
  });

  it('throws the error of the system when the address is not available', async () => {
    const [address = ''] = await listen(server, ['127.0.0.1'], [0]);
    const port = Number(address.split(':')[1]);
    const failure: unknown = await listen(createServer(), ['127.0.0.1'], [port]).catch((error: unknown) => error);
    expect(systemCode(failure)).to.equal('EADDRINUSE');
    expect(failure).to.include({ port });
  });

  it('logs a connection that it cannot accept, and accepts the next', async () => {
    const [address = ''] = await listen(server, ['127.0.0.1'], [0]);
    // The error that Node emits for a failed accept(2).
    server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE', syscall: 'accept' }));
    expect(lines.at(-1)).to.include({ level: 50, msg: 'Server A could not accept a connection' });
    expect(await greet(Number(address.split(':')[1]), '127.0.0.1')).to.equal('hello');
  });
});

/** What the server says, to the end of the connection. */
async function greet(port: number, host: string): Promise<string> {
  return text(connect(port, host));
}
