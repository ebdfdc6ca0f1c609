import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import WebSocket from 'ws';
import type { Protocol } from '../../../../server-a/protocols/protocol.ts';
import { type ListeningRelayOptions, startRelay } from '../../../../server-a/protocols/websocket/relay.ts';
import { systemCode } from '../../../../shared/errors.ts';
import { createLogger } from '../../../../shared/log.ts';
import { freePort } from '../../../support/free-port.ts';
import { eventually } from '../../../support/processes.ts';
import { requireTool } from '../../../support/required-tool.ts';
import { RawClient } from '../http/raw-client.ts';
import { refusalOf, WebSocketClient } from './websocket-client.ts';

const log = createLogger('test', 'silent');
const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
/** The number of the keep-alive timer in /proc/net/tcp (proc(5)). */
const KEEP_ALIVE_TIMER = '02';

describe('WebSocket relay', () => {
  let relay: Protocol | null = null;
  let port = 0;
  let url = '';

  async function start(changes: Partial<ListeningRelayOptions['settings']> = {}, keepAliveMs = 30_000): Promise<void> {
    port = await freePort();
    const settings = { ip: ['127.0.0.1'], websocketPort: port, apiKeys: [], maxConnections: 100, ...changes };
    relay = await startRelay({ settings, log, keepAliveMs });
    url = `ws://127.0.0.1:${port}/`;
  }

  afterEach(async () => {
    await relay?.close(100);
    relay = null;
  });

  it('sends each text to all other clients as "Message: <text>", and nothing to its sender', async () => {
    await start();
    const [operator, camera, other] = await Promise.all([1, 2, 3].map(() => WebSocketClient.open(url)));
    if (!operator || !camera || !other) throw new Error('Expected three clients');
    camera.send('Ready for capture');
    expect(await operator.next()).to.equal('Message: Ready for capture');
    expect(await other.next()).to.equal('Message: Ready for capture');
    operator.send('snap');
    expect(await camera.next()).to.equal('Message: snap');
    expect(await other.next()).to.equal('Message: snap');
    for (const client of [operator, camera, other]) expect(await client.rest()).to.deep.equal([]);
  });

  it('accepts clients on any path, and sends texts of any content in order', async () => {
    await start();
    const receiver = await WebSocketClient.open(`${url}any/path?with=query`);
    const sender = await WebSocketClient.open(`${url}ws`);
    const texts = ['', 'stop', '{"not":"read"}', 'Küche 📷', 'Message: snap', 'x'.repeat(64 * 1024)];
    for (const text of texts) sender.send(text);
    for (const text of texts) expect(await receiver.next()).to.equal(`Message: ${text}`);
  });

  it('listens on the address that it reports, and fails with the port if that is in use', async () => {
    await start();
    expect(relay?.lines[0]).to.equal(`WebSocket 127.0.0.1:${port}`);
    const settings = { ip: ['127.0.0.1'], websocketPort: port, apiKeys: [], maxConnections: 1 };
    const failure: unknown = await startRelay({ settings, log }).catch((error: unknown) => error);
    expect(systemCode(failure)).to.equal('EADDRINUSE');
    expect(failure).to.include({ port });
  });

  it('writes an IPv6 address in brackets', async () => {
    await start({ ip: ['::1'] });
    expect(relay?.lines[0]).to.equal(`WebSocket [::1]:${port}`);
    const client = await WebSocketClient.open(`ws://[::1]:${port}/`, { origin: `http://[::1]:${port}` });
    await client.close();
  });

  describe('accepts', () => {
    for (const [who, origin] of [
      ['programs, which send no Origin', undefined],
      ["clients whose Origin is the server's own host", 'http://127.0.0.1:{port}'],
      ['pages from another port of the same host', 'http://127.0.0.1:5454'],
    ] as const) {
      it(who, async () => {
        await start();
        const client = await WebSocketClient.open(url, { origin: origin?.replace('{port}', String(port)) });
        await client.close();
      });
    }

    it('clients with a key, if keys are configured', async () => {
      await start({ apiKeys: ['one', 'two'] });
      const clients = await Promise.all([
        WebSocketClient.open(`${url}?key=two`),
        WebSocketClient.open(url, { headers: { authorization: 'Bearer one' } }),
        WebSocketClient.open(url, { headers: { 'x-api-key': 'one' } }),
      ]);
      for (const client of clients) await client.close();
    });
  });

  describe('refuses', () => {
    for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1.evil.example', 'http://localhost', 'x']) {
      it(`the Origin ${origin} with 403`, async () => {
        await start();
        const { status, headers, problem } = await refusalOf(url, { origin });
        expect(status).to.equal(403);
        expect(headers['content-type']).to.equal('application/problem+json');
        expect(problem).to.include({
          code: 'ORIGIN_NOT_ALLOWED',
          detail: `Expected none or the server's own host for Origin, received '${origin}'`,
        });
      });
    }

    it('a missing and a wrong key with 401, if keys are configured', async () => {
      await start({ apiKeys: ['secret'] });
      for (const [path, received] of [
        ['', 'none'],
        ['?key=guess', 'another'],
      ]) {
        const { status, headers, problem } = await refusalOf(url + path);
        expect([status, headers['www-authenticate']]).to.deep.equal([401, 'Bearer realm="darkroom"']);
        expect(problem['detail']).to.equal(
          `Expected an API key in Authorization: Bearer, X-Api-Key or ?key=, received ${received}`,
        );
      }
    });

    it('ordinary requests and other upgrades with 426', async () => {
      await start();
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'snap' });
      expect([answer.status, answer.headers.get('upgrade')]).to.deep.equal([426, 'websocket']);
      expect(await answer.json()).to.include({ code: 'UPGRADE_REQUIRED' });
      const client = new RawClient({ host: '127.0.0.1', port });
      await client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
      expect(await client.closed()).to.match(/^HTTP\/1\.1 426 [\s\S]*received 'h2c'/);
    });

    it('an invalid handshake with 400', async () => {
      await start();
      const client = new RawClient({ host: '127.0.0.1', port });
      await client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      expect(await client.closed()).to.match(/^HTTP\/1\.1 400 [\s\S]*Sec-WebSocket-Key/);
    });

    it('a binary message with 1003, and sends no later message of that client to others', async () => {
      await start();
      const [sender, receiver] = await Promise.all([WebSocketClient.open(url), WebSocketClient.open(url)]);
      sender.socket.send(Buffer.from('snap'));
      sender.send('snap');
      expect(await sender.closed).to.deep.equal({ code: 1003, reason: 'Expected text, received binary' });
      expect(await receiver.rest()).to.deep.equal([]);
    });

    it('a text longer than 64 KiB with 1009', async () => {
      await start();
      const [sender, receiver] = await Promise.all([WebSocketClient.open(url), WebSocketClient.open(url)]);
      sender.send('x'.repeat(64 * 1024 + 1));
      expect((await sender.closed).code).to.equal(1009);
      expect(await receiver.rest()).to.deep.equal([]);
    });

    it('clients beyond its limit', async () => {
      await start({ maxConnections: 2 });
      const [one, two] = await Promise.all([WebSocketClient.open(url), WebSocketClient.open(url)]);
      const third = await WebSocketClient.open(url).catch((error: unknown) => error);
      expect(systemCode(third)).to.equal('ECONNRESET');
      one.send('still here');
      expect(await two.next()).to.equal('Message: still here');
    });
  });

  describe('serves other clients when a client', () => {
    for (const [does, harm] of [
      ['is cut off in the middle of a frame', Buffer.from([0x81, 0xfe, 0xff])],
      ['sends frames without a mask', Buffer.from([0x81, 0x04, ...Buffer.from('snap')])],
      ['sends noise', Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256))],
      ['sends bytes that are not UTF-8', Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff])],
      ['announces a frame of 2^60 bytes', Buffer.from([0x81, 0xff, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ] as const) {
      it(does, async () => {
        await start();
        const [sender, receiver] = await Promise.all([WebSocketClient.open(url), WebSocketClient.open(url)]);
        const client = new RawClient({ host: '127.0.0.1', port });
        await client.write(HANDSHAKE);
        await client.until(/101 Switching/);
        await client.write(harm);
        client.socket.destroy();
        sender.send('snap');
        expect(await receiver.next()).to.equal('Message: snap');
      });
    }

    it('does not read, and disconnects it at a megabyte of unread texts', async () => {
      await start();
      const [sender, receiver, idle] = await Promise.all([1, 2, 3].map(() => WebSocketClient.open(url)));
      if (!sender || !receiver || !idle) throw new Error('Expected three clients');
      idle.socket.pause();
      const text = 'x'.repeat(64 * 1024);
      // The connection buffers some megabytes before the relay must; 32 MiB limit the loop.
      for (let sent = 0; sent < 512 && receiver.socket.readyState === WebSocket.OPEN; sent += 1) {
        sender.send(text);
        await receiver.next();
      }
      idle.socket.resume();
      expect((await idle.closed).code).to.equal(1006);
      sender.send('snap');
      expect(await receiver.next()).to.equal('Message: snap');
    });
  });

  describe('keeps clients that never read', () => {
    it('for longer than the detection of a dead client takes, and sends their later texts to others', async function () {
      this.timeout(180_000);
      await start({}, 1000);
      const [operator, camera] = await Promise.all([WebSocketClient.open(url), WebSocketClient.open(url)]);
      operator.socket.pause();
      camera.send('Ready for capture');
      await sleep(2500);
      operator.send('snap');
      expect(await camera.next()).to.equal('Message: snap');
      operator.socket.resume();
      expect(await operator.next()).to.equal('Message: Ready for capture');
    });

    it('and detects dead clients with TCP keep-alive', async function () {
      if (process.platform !== 'linux') this.skip();
      await start();
      const client = new RawClient({ host: '127.0.0.1', port });
      await client.write(HANDSHAKE);
      await client.until(/101 Switching/);
      // This test cannot make a machine vanish, so it checks that the keep-alive timer runs.
      await eventually('a timer for keepalive', async () => {
        const timer = await timerOf(port, client.socket.localPort ?? 0);
        return timer === KEEP_ALIVE_TIMER ? true : undefined;
      });
      client.socket.destroy();
    });
  });

  describe('when it stops', () => {
    it('disconnects clients without a close frame, after the texts before', async () => {
      await start();
      const [client, sender, watcher] = await Promise.all([1, 2, 3].map(() => WebSocketClient.open(url)));
      if (!client || !sender || !watcher) throw new Error('Expected three clients');
      const long = 'x'.repeat(60_000);
      for (const text of [long, 'stop']) sender.send(text);
      for (const text of [long, 'stop']) expect(await watcher.next()).to.equal(`Message: ${text}`);
      await relay?.close(1000);
      expect(await client.closed).to.deep.equal({ code: 1006, reason: '' });
      for (const text of [long, 'stop']) expect(await client.next()).to.equal(`Message: ${text}`);
    });

    it('makes recv() of websocket-client raise, instead of giving an empty text', async function () {
      const python = process.env['DARKROOM_PYTHON'] ?? 'python3';
      requireTool(this, [python, '-c', 'import websocket'], 'DARKROOM_REQUIRE_PYTHON');
      await start();
      const script = [
        'import sys, websocket',
        'connection = websocket.create_connection(sys.argv[1])',
        "connection.send('Ready for capture')",
        'try:',
        '    print(repr(connection.recv()))',
        'except Exception as error:',
        '    print(type(error).__name__)',
      ].join('\n');
      const watcher = await WebSocketClient.open(url);
      const ended = promisify(execFile)(python, ['-c', script, url]);
      expect(await watcher.next()).to.equal('Message: Ready for capture');
      await relay?.close(1000);
      expect((await ended).stdout.trim()).to.equal('WebSocketConnectionClosedException');
    });

    it('disconnects clients that do not read, and connections that never sent a byte', async () => {
      await start();
      const deaf = await WebSocketClient.open(url);
      deaf.socket.pause();
      const silent = connect(port, '127.0.0.1');
      await once(silent, 'connect');
      const gone = once(silent, 'close');
      await relay?.close(50);
      await gone;
      deaf.socket.resume();
      expect((await deaf.closed).code).to.equal(1006);
      const next = createServer().listen(port, '127.0.0.1');
      await once(next, 'listening');
      next.close();
    });
  });
});

/** The timer of the connection from one port of 127.0.0.1 to another, by its number in /proc/net/tcp. */
async function timerOf(from: number, to: number): Promise<string | undefined> {
  const place = (port: number) => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
  return lines.find(([, local, remote]) => local === place(from) && remote === place(to))?.[5]?.split(':')[0];
}
