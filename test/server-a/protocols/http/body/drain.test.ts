import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { drain, isBodyPending } from '../../../../../server-a/protocols/http/body/drain.ts';

const UNBOUNDED = { bytes: Number.MAX_SAFE_INTEGER, milliseconds: 60_000, quietMs: 60_000 };

describe('drain', () => {
  let server: Server;
  let client: Socket;
  let request: IncomingMessage;

  beforeEach(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });

  /** Sends a request head that declares `length` bytes, and no body. */
  async function open(length: number): Promise<void> {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    client = connect(address.port, '127.0.0.1');
    client.on('error', () => {});
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`);
    request = await new Promise((resolve) => server.once('request', resolve));
  }

  it('resolves at the end of the body', async () => {
    await open(1_000_000);
    const drained = drain(request, UNBOUNDED);
    client.write(Buffer.alloc(1_000_000));
    await drained;
    expect(request.complete).equal(true);
    expect(isBodyPending(request)).equal(false);
  });

  it('resolves at once without a body', async () => {
    await open(0);
    expect(isBodyPending(request)).equal(false);
    await drain(request, UNBOUNDED);
  });

  it('stops at its limit of bytes', async () => {
    await open(1_000_000);
    const drained = drain(request, { ...UNBOUNDED, bytes: 1000 });
    client.write(Buffer.alloc(2000));
    await drained;
    expect(isBodyPending(request)).equal(true);
  });

  it('stops at its deadline while bytes still arrive', async () => {
    await open(1_000_000);
    const drained = drain(request, { ...UNBOUNDED, milliseconds: 50 });
    const dripping = setInterval(() => client.write('x'), 5);
    await drained;
    clearInterval(dripping);
    expect(isBodyPending(request)).equal(true);
  });

  it('stops when no bytes arrive', async () => {
    await open(1_000_000);
    await drain(request, { ...UNBOUNDED, quietMs: 20 });
    expect(isBodyPending(request)).equal(true);
  });

  it('stops when the client disconnects', async () => {
    await open(1_000_000);
    const drained = drain(request, UNBOUNDED);
    client.destroy();
    await drained;
    expect(request.destroyed).equal(true);
  });

  it('leaves no listener', async () => {
    await open(1_000_000);
    const before = ['data', 'end', 'close'].map((event) => request.listenerCount(event));
    await drain(request, { ...UNBOUNDED, quietMs: 20 });
    expect(['data', 'end', 'close'].map((event) => request.listenerCount(event))).deep.equal(before);
  });
});
