import { networkInterfaces } from 'node:os';
import { expect } from 'chai';
import { createApp } from '../../../../server-a/protocols/http/app.ts';
import { listen } from '../../../../server-a/protocols/http/server.ts';
import { Presets } from '../../../../server-a/tasks/presets.ts';
import { systemCode } from '../../../../shared/errors.ts';
import { createLogger } from '../../../../shared/log.ts';
import { ask, type Fixture, jpeg, postRaw, startFixture, taskOf } from './http-fixture.ts';
import { RawClient } from './raw-client.ts';

describe('HTTP server', () => {
  /** For the tests that neither close it nor need other settings. */
  let shared: Fixture;
  const running: Fixture[] = [];

  async function start(...options: Parameters<typeof startFixture>): Promise<Fixture> {
    const fixture = await startFixture(...options);
    running.push(fixture);
    return fixture;
  }

  before(async () => {
    shared = await startFixture();
  });

  after(() => shared.stop());

  afterEach(async () => {
    for (const fixture of running.splice(0)) await fixture.stop();
  });

  it('reports its IPv4 or IPv6 address', async function () {
    expect(shared.address).match(/^http:\/\/127\.0\.0\.1:\d+$/);
    const addresses = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
    if (!addresses.some(({ address }) => address === '::1')) this.skip();
    const fixture = await start({}, '::1');
    expect(fixture.address).match(/^http:\/\/\[::1\]:\d+$/);
    expect((await fetch(`${fixture.address}/livez`)).status).equal(200);
  });

  it("fails with the system's code when the port is in use or the address is not available", async () => {
    const { port, tasks } = shared;
    const log = createLogger('test', 'silent');
    const settings = { apiKeys: [], maxUploadMb: 1, maxConnections: 1, requestSeconds: 1 };
    const readiness = () => ({ store: 'open', lanes: 0, backend: 'down', model: 'unavailable' });
    const app = createApp({ tasks, presets: await Presets.load(undefined), settings, readiness, log });
    const attempt = (ip: string, to: number) =>
      listen(app, { ips: [ip], ports: [to], settings, log }).then(
        () => 'listening',
        (error: unknown) => systemCode(error),
      );
    expect(await attempt('127.0.0.1', port)).equal('EADDRINUSE');
    expect(await attempt('192.0.2.1', 0)).equal('EADDRNOTAVAIL');
  });

  describe('answers with a problem to', () => {
    for (const [what, bytes, detail] of [
      ['bytes that are not HTTP', 'hello\r\n\r\n', 'well-formed HTTP'],
      [
        'a bad chunk',
        'POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
        'well-formed HTTP',
      ],
      [
        'two lengths',
        'POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
        'well-formed',
      ],
      ['a long head', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 'at most 16 KiB'],
      ['a head of a megabyte', `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(160_000)}\r\n`, 'at most 16 KiB'],
      [
        'a byte outside ASCII in the path',
        Buffer.from('GET /status/\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', 'latin1'),
        'well-formed HTTP',
      ],
      ['a NUL in the path', 'GET /status/\0 HTTP/1.1\r\nHost: a\r\n\r\n', 'well-formed HTTP'],
      ['a target that is not a URL', 'GET http://[::1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'target'],
      [
        'two Host headers',
        'GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n',
        "Host header, received 'a, b'",
      ],
      ['HTTP/1.1 without Host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', 'Host header'],
    ] as const) {
      it(what, async () => {
        const client = new RawClient(shared);
        await client.write(bytes);
        const text = await client.closed();
        expect(text)
          .match(/^HTTP\/1\.1 400 Bad Request\r\n/)
          .contain('application/problem+json')
          .contain(detail);
        expect(text).contain('"code":"BAD_REQUEST"');
        expect(client.error).equal(null);
      });
    }

    it('a request that takes too long, and removes the bytes that were received', async () => {
      const fixture = await start({ requestSeconds: 1 });
      const client = new RawClient(fixture);
      const head =
        'POST /upload?circle=9 HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: 99999\r\n\r\n';
      await client.write(head);
      await client.write((await jpeg(400, 300)).subarray(0, 3000));
      expect(await client.closed()).match(/^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*"code":"REQUEST_TIMEOUT"/);
      while (fixture.tasks.counts().spool_bytes > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      expect((await ask(fixture, { path: '/livez' })).status).equal(200);
    });
  });

  it('continues after a target that is not a URL', async () => {
    const client = new RawClient(shared);
    await client.write('GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(/"BAD_REQUEST"/);
    await client.write('GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(await client.closed()).match(/"live"/);
    expect(shared.lines.find((line) => line['path'] === 'http://[::1')).include({
      status: 400,
      msg: 'HTTP request ended',
    });
  });

  it('answers 405 to CONNECT', async () => {
    const client = new RawClient(shared);
    await client.write('CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n');
    expect(await client.closed()).match(/^HTTP\/1\.1 405 [\s\S]*"code":"METHOD_NOT_ALLOWED"/);
  });

  it('ignores an unknown expectation', async () => {
    const client = new RawClient(shared);
    await client.write('GET /livez HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nConnection: close\r\n\r\n');
    expect(await client.closed()).match(/ 200 OK\r\n[\s\S]*"live"/);
  });

  it('serves HTTP/1.0', async () => {
    const client = new RawClient(shared);
    await client.write('GET /livez HTTP/1.0\r\n\r\n');
    expect(await client.closed()).match(/ 200 OK\r\n[\s\S]*"live"/);
  });

  it('serves requests sent in one write, in order', async () => {
    const client = new RawClient(shared);
    await client.write(
      'GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    expect(await client.closed()).match(/"live"[\s\S]*"NOT_FOUND"/);
  });

  it('refuses connections beyond its limit', async () => {
    const fixture = await start({ maxConnections: 1 });
    const first = new RawClient(fixture);
    await first.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    await first.until(/"live"/);
    const second = new RawClient(fixture);
    expect(await second.closed()).equal('');
    first.socket.destroy();
  });

  describe('when it closes', () => {
    it('closes connections that are idle or never sent anything', async () => {
      const fixture = await start();
      const idle = new RawClient(fixture);
      await idle.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
      await idle.until(/"live"/);
      const silent = new RawClient(fixture);
      await new Promise((resolve) => silent.socket.once('connect', resolve));
      await ask(fixture, { path: '/livez' });
      await fixture.server.close(60_000);
      await Promise.all([idle.closed(), silent.closed()]);
    });

    it('waits for an upload in progress', async () => {
      const fixture = await start();
      const picture = await jpeg();
      const client = new RawClient(fixture);
      const typed = `Host: a\r\nContent-Type: image/jpeg\r\nContent-Length: ${picture.length}\r\n\r\n`;
      await client.write(`POST /upload?circle=9 HTTP/1.1\r\n${typed}`);
      await client.write(picture.subarray(0, 1000));
      while (fixture.tasks.counts().spool_bytes === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      const closed = fixture.server.close(60_000);
      await client.write(picture.subarray(1000));
      expect(await client.closed()).match(/^HTTP\/1\.1 202 /);
      await closed;
    });

    it('answers requests that wait for a task immediately', async () => {
      const fixture = await start();
      const { task_id } = taskOf(await postRaw(fixture, '?circle=9', await jpeg()));
      const waiting = ask(fixture, { path: `/status/${task_id}?wait=60` });
      // A later request is answered, so the waiting one has arrived, too.
      await ask(fixture, { path: '/livez' });
      await fixture.server.close(60_000);
      expect(taskOf(await waiting).status).equal('pending');
    });

    it('destroys connections that outlast the grace period', async () => {
      const fixture = await start();
      const client = new RawClient(fixture);
      await client.write(
        'POST /upload?circle=9 HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n',
      );
      await ask(fixture, { path: '/livez' });
      await fixture.server.close(10);
      await client.closed();
    });
  });
});
