import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { pino } from 'pino';
import { listenOn } from '../../../server-a/protocols/listen.ts';
import { systemCode } from '../../../shared/errors.ts';

describe('listenOn', () => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  let server: Server;

  beforeEach(() => {
    server = createServer((socket) => socket.end('hello'));
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  for (const [ip, shown] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]'],
  ] as const) {
    it(`returns the address in use on ${ip}`, async () => {
      expect(await listenOn(server, { ip, port: 0, log }))
        .to.match(/:[1-9]\d*$/)
        .and.satisfy((address: string) => address.startsWith(`${shown}:`));
    });
  }

  it('throws the error of the system when the address is not available', async () => {
    const address = await listenOn(server, { ip: '127.0.0.1', port: 0, log });
    const port = Number(address.split(':')[1]);
    const failure: unknown = await listenOn(createServer(), { ip: '127.0.0.1', port, log }).catch(
      (error: unknown) => error,
    );
    expect(systemCode(failure)).to.equal('EADDRINUSE');
    expect(failure).to.include({ port });
  });

  it('logs a connection that it cannot accept, and accepts the next', async () => {
    const address = await listenOn(server, { ip: '127.0.0.1', port: 0, log });
    // The error that Node emits for a failed accept(2).
    server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE', syscall: 'accept' }));
    expect(lines.at(-1)).to.include({ level: 50, msg: 'Server A could not accept a connection' });
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
    expect(String((await once(socket, 'data'))[0])).to.equal('hello');
    await once(socket, 'close');
  });
});
