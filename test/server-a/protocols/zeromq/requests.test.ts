import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Dealer } from 'zeromq';
import type { ServerASettings } from '../../../../server-a/config.ts';
import { systemCode } from '../../../../shared/errors.ts';
import { freePort } from '../../../support/free-port.ts';
import { answerOf, ask, type Fixture, openRequest, startFixture } from './zeromq-fixture.ts';

const EMPTY_LIST = { urls: [] };
const RECEIVED = { status: 'received', num_urls: 0 };

describe('ZeroMQ requests', () => {
  let fixture: Fixture;

  before(async () => {
    fixture = await startFixture();
  });

  after(() => fixture.stop());

  async function expectServed(): Promise<void> {
    expect(await ask(fixture.address, EMPTY_LIST)).to.deep.equal(RECEIVED);
  }

  function dealer(): Dealer {
    const socket = new Dealer({ linger: 0, receiveTimeout: 10_000 });
    socket.connect(fixture.address);
    return socket;
  }

  describe('that are malformed', () => {
    const cases: readonly (readonly [string, string | Buffer, RegExp])[] = [
      ['invalid JSON', '{"urls": [', /^Expected a JSON object for the request, received '\{"urls": \['$/],
      ['no bytes', '', /^Expected a JSON object for the request, received ''$/],
      ['a JSON array', '[1]', /^Expected a JSON object for the request, received '\[1\]'$/],
      ['null', 'null', /^Expected a JSON object/],
      [
        'bytes that are not UTF-8',
        Buffer.from([0x22, 0xff, 0x22]),
        /^Expected JSON in UTF-8 for the request, received '3 bytes/,
      ],
    ];
    for (const [what, bytes, message] of cases) {
      it(`get an error for ${what}, and the next request of that client works`, async () => {
        const socket = openRequest(fixture.address);
        await socket.send(bytes);
        const answer = await answerOf(socket);
        expect(answer).to.have.all.keys('status', 'message');
        expect(answer).to.include({ status: 'error' });
        expect(answer['message']).to.match(message);
        await socket.send(JSON.stringify(EMPTY_LIST));
        expect(await answerOf(socket)).to.deep.equal(RECEIVED);
        socket.close();
      });
    }

    it('get an error for three frames', async () => {
      const socket = openRequest(fixture.address);
      await socket.send(['{}', '{}', '{}']);
      const message = 'Expected one frame for the request, received 3';
      expect(await answerOf(socket)).to.deep.equal({ status: 'error', message });
      socket.close();
      await expectServed();
    });

    it('are dropped without a delimiter, as by a REP socket', async () => {
      const socket = dealer();
      for (const frames of [['{}'], ['{}', '{}', '{}'], [''], Array.from({ length: 1000 }, () => 'x')])
        await socket.send(frames);
      await socket.send(['', JSON.stringify(EMPTY_LIST)]);
      expect(await answerOf(socket)).to.deep.equal(RECEIVED);
      socket.close();
      await expectServed();
    });

    it('do not block others with 100 MB', async () => {
      const sender = openRequest(fixture.address);
      await sender.send(Buffer.alloc(100 * 1024 * 1024, 'x'));
      const others = Array.from({ length: 8 }, expectServed);
      await Promise.all(others);
      await expectServed();
      sender.close();
    });

    it('do not block others when they are not ZeroMQ', async () => {
      const { zeromqPort, zeromqPubPort } = fixture.settings;
      const noise = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 7919) % 256));
      const greeting = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]);
      for (const bytes of [noise, Buffer.from('GET / HTTP/1.1\r\n\r\n'), greeting, Buffer.concat([greeting, noise])]) {
        for (const port of [zeromqPort, zeromqPubPort]) {
          const socket = connect({ port, host: '127.0.0.1' });
          socket.on('error', () => undefined);
          await once(socket, 'connect');
          socket.write(bytes);
          await expectServed();
          socket.destroy();
        }
      }
    });
  });

  it('of clients that die before the answer do not block others', async () => {
    for (let round = 0; round < 20; round += 1) {
      const socket = openRequest(fixture.address);
      await socket.send(JSON.stringify(EMPTY_LIST));
      await sleep(round % 4);
      socket.close();
      await expectServed();
    }
  });

  it('of one client are answered in order', async () => {
    const socket = dealer();
    const requests = ['{"urls": [1]}', '{"operation": "x"}', '{}', '[]', '{"operation": "retrieve"}'];
    for (const request of requests) await socket.send(['', request]);
    const statuses: unknown[] = [];
    for (const _ of requests) statuses.push((await answerOf(socket))['message'] ?? 'received');
    expect(statuses.map((text) => String(text).split(',')[0])).to.deep.equal([
      'Expected a text of at most 65536 characters for urls[0]',
      'Invalid operation',
      'received',
      'Expected a JSON object for the request',
      'Expected the id of a kept picture for image_id',
    ]);
    socket.close();
  });

  it('through proxies are answered through the same proxies', async () => {
    const socket = dealer();
    await socket.send(['hop one', 'hop two', '', '{}']);
    const frames = await socket.receive();
    expect(frames.map(String)).to.deep.equal(['hop one', 'hop two', '', JSON.stringify(RECEIVED)]);
    socket.close();
  });

  it('of many clients behind one proxy are served like requests of many connections', async () => {
    const socket = dealer();
    const hops = Array.from({ length: 40 }, (_, index) => `hop ${index}`);
    for (const hop of hops) await socket.send([hop, '', '{"urls": ["no url"]}']);
    const served: string[] = [];
    for (const _ of hops) {
      const [hop, , answer] = await socket.receive();
      expect(JSON.parse(String(answer))).to.deep.equal({ status: 'received', num_urls: 1 });
      served.push(String(hop));
    }
    expect(served).to.have.members(hops);
    socket.close();
  });

  it('are refused when they are neither a list nor an operation', async () => {
    const invalid = { status: 'error', message: 'Invalid operation' };
    for (const operation of ['delete', '', null, 5, {}, 'constructor', 'toString']) {
      expect(await ask(fixture.address, { operation, urls: [] })).to.deep.equal(invalid);
    }
  });

  describe('to another service', () => {
    /** Replaces the service by one with other settings. */
    async function restart(changes: Partial<ServerASettings>): Promise<void> {
      await fixture.stop();
      fixture = await startFixture(changes);
    }

    it('are not served when a port is in use, and nothing stays open', async () => {
      const taken = fixture.settings.zeromqPort;
      const port = await freePort();
      for (const changes of [{ zeromqPort: taken }, { zeromqPort: port, zeromqPubPort: taken }]) {
        const error = await startFixture(changes).catch((reason: unknown) => reason);
        expect(error).to.include({ code: 'EADDRINUSE', port: taken });
      }
      await refusesConnections(port);
    });

    it('are refused during shutdown', async () => {
      fixture.tasks.drain();
      const answer = await ask(fixture.address, { urls: ['http://127.0.0.1/'] });
      expect(answer['message']).to.match(/^The server is shutting down\.$/);
    });

    it('need a key if keys are configured', async () => {
      await restart({ apiKeys: ['secret'] });
      expect(await ask(fixture.address, EMPTY_LIST)).to.deep.equal({
        status: 'error',
        message: 'Expected an API key in the member api_key, received none',
      });
      expect(await ask(fixture.address, { ...EMPTY_LIST, api_key: 'guess' })).to.include({ status: 'error' });
      expect(await ask(fixture.address, { ...EMPTY_LIST, api_key: 'secret' })).to.deep.equal(RECEIVED);
    });

    it('are served over IPv6', async () => {
      await restart({ ip: ['::1'] });
      expect(fixture.protocol.lines[0]).to.equal(`ZeroMQ    ${fixture.address}, classes on ${fixture.pubAddress}`);
      await expectServed();
    });

    it('for lists are refused if the publishing port is off', async () => {
      await restart({ zeromqPubPort: 0 });
      expect(await ask(fixture.address, EMPTY_LIST)).to.deep.equal({
        status: 'error',
        message: 'The server publishes no classes: it was started without --zeromq-pub-port.',
      });
      expect(await ask(fixture.address, { operation: 'x' })).to.include({ message: 'Invalid operation' });
    });
  });
});

/** Resolves when a port refuses connections. ZeroMQ closes a socket in its own thread, some time after `close`. */
async function refusesConnections(port: number): Promise<void> {
  let code: string | undefined;
  while (code !== 'ECONNREFUSED') {
    const socket = connect({ port, host: '127.0.0.1' }).resume();
    socket.on('error', (error) => {
      code = systemCode(error);
    });
    // A connection that was still accepted ends when the ZeroMQ socket closes. Then comes the next attempt.
    await new Promise((resolve) => socket.once('close', resolve));
  }
}
